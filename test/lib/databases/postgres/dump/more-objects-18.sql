-- What PostgreSQL 18 brought.
CREATE TABLE more.virtual (a integer, b integer GENERATED ALWAYS AS (a * 2) VIRTUAL, c integer GENERATED ALWAYS AS (a + 1) STORED);
INSERT INTO more.virtual VALUES (1), (2);
CREATE EXTENSION btree_gist;
CREATE TABLE more.booked (room integer, during daterange, CONSTRAINT booked_key PRIMARY KEY (room, during WITHOUT OVERLAPS));
CREATE TABLE more.guests (room integer, during daterange, FOREIGN KEY (room, PERIOD during) REFERENCES more.booked (room, PERIOD during));
INSERT INTO more.booked VALUES (1, '[2026-01-01,2026-02-01)');
INSERT INTO more.guests VALUES (1, '[2026-01-03,2026-01-05)');
ALTER TABLE more.virtual ADD CONSTRAINT a_is_set NOT NULL a NO INHERIT;
ALTER TABLE more.late ADD CONSTRAINT ref_is_set NOT NULL ref NOT VALID;
ALTER TABLE more.late ADD CONSTRAINT loose FOREIGN KEY (ref) REFERENCES more.people NOT ENFORCED;
COMMENT ON CONSTRAINT a_is_set ON more.virtual IS 'n';
CREATE TABLE more.heir (CONSTRAINT "b is; set" NOT NULL b) INHERITS (more.parent_of_columns);
CREATE TABLE more."Heir 2" (CONSTRAINT "select" NOT NULL b, c integer CONSTRAINT "c C" NOT NULL) INHERITS (more.parent_of_columns);
