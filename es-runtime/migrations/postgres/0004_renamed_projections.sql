-- Names that projections had before they were renamed, so that an old program does not build them again.
CREATE TABLE renamed_projections (
    name       text COLLATE "C" NOT NULL PRIMARY KEY,
    renamed_to text COLLATE "C" NOT NULL
);
