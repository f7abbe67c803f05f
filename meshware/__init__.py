"""meshware: service-mesh behaviour for Python web services, inside the process."""
