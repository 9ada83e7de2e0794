-- Version 3: what was found out of a machine on which a run failed.

-- JSON object; NULL where no machine was examined.
ALTER TABLE attempts ADD COLUMN diagnosis TEXT;
