"""Why a call goes, or would go, where it does: by which route, to which endpoint, under which limits."""
