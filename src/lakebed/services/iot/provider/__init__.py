"""The operations of IoT Core, one file for each kind of resource."""
