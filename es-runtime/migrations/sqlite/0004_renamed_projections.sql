-- Names that projections had before they were renamed, so that an old program does not build them again.
CREATE TABLE renamed_projections (
    name       TEXT NOT NULL PRIMARY KEY,
    renamed_to TEXT NOT NULL
) STRICT, WITHOUT ROWID;
