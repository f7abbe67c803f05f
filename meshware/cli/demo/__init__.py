"""`meshware demo`: one incident on real servers, met three times: without, decorated, with meshware."""
