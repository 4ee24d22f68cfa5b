"""Operations of the Glue Data Catalog, by resource."""
