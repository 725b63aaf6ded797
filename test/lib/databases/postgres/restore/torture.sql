-- A database with an object of every kind that a dump may hold, for PostgreSQL 13 and later.
CREATE EXTENSION citext;
CREATE SCHEMA ext;
CREATE EXTENSION hstore SCHEMA ext;
CREATE SCHEMA "Büro; ""x""";
COMMENT ON SCHEMA "Büro; ""x""" IS 'it''s; \ a comment
on two lines';

CREATE TYPE public.mood AS ENUM ('sad', 'o''k', 'höchst; erfreut');
CREATE TYPE public.pair AS (a integer, "B b" text);
CREATE TYPE public.span AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE DOMAIN public.positive AS integer DEFAULT 1 CHECK (VALUE > 0);
CREATE COLLATION public.plain FROM "C";
CREATE TYPE public.shell;

CREATE FUNCTION public.add_pair(public.pair) RETURNS integer LANGUAGE sql IMMUTABLE AS $_$ SELECT ($1).a + 1; $_$;
CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql AS $fn$
BEGIN
	/* ; ' $$
\.
	*/
	NEW.note := coalesce(NEW.note, '') || E'\\stamped;';
	RETURN NEW;
END $fn$;
CREATE FUNCTION public.seen() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; END $$;
CREATE PROCEDURE public.nothing(INOUT x integer) LANGUAGE plpgsql AS $$ BEGIN x := x; END $$;
CREATE AGGREGATE public.total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE AGGREGATE public.ordered(integer ORDER BY integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE FUNCTION public.mood_text(public.mood) RETURNS varchar LANGUAGE sql STABLE AS 'SELECT ''m''::varchar';
CREATE CAST (public.mood AS varchar) WITH FUNCTION public.mood_text(public.mood);
CREATE FUNCTION public.near(integer, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT abs($1 - $2) < 2';
CREATE OPERATOR public.~= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = public.near, COMMUTATOR = OPERATOR(public.~=));
CREATE OPERATOR FAMILY public.fam USING btree;
CREATE OPERATOR CLASS public.cls FOR TYPE integer USING btree FAMILY public.fam AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(integer, integer);
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
CREATE TRANSFORM FOR integer LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int4recv(internal));
CREATE CONVERSION public.conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TEXT SEARCH DICTIONARY public.dict (TEMPLATE = simple, stopwords = english);
CREATE TEXT SEARCH CONFIGURATION public.conf (COPY = english);

CREATE SEQUENCE public.numbers AS bigint START 7 INCREMENT 3 MAXVALUE 1000 CYCLE;
SELECT nextval('public.numbers'), nextval('public.numbers');
CREATE SEQUENCE public.fresh;
CREATE TABLE public.orders (
	id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	old_id serial,
	mood public.mood NOT NULL DEFAULT 'sad',
	who ext.hstore,
	mail public.citext,
	qty public.positive,
	twice integer GENERATED ALWAYS AS (old_id * 2) STORED,
	note text COLLATE public.plain,
	place public.pair,
	raw bytea,
	amount numeric(12, 3),
	at timestamptz,
	tags text[],
	CONSTRAINT amount_ok CHECK (amount > 0)
);
ALTER TABLE public.orders ALTER COLUMN note SET (n_distinct = -0.5);
ALTER TABLE public.orders ALTER COLUMN note SET STATISTICS 300;
ALTER TABLE public.orders ALTER COLUMN raw SET STORAGE EXTERNAL;
INSERT INTO public.orders (mood, who, mail, qty, note, place, raw, amount, at, tags)
SELECT (ARRAY['sad', 'o''k', 'höchst; erfreut'])[1 + i % 3]::public.mood, ext.hstore('k' || i, 'v"' || i), 'A' || i || '@x', 1 + i,
	CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN E'\\.' WHEN 2 THEN E'tab\there\nand \\N line\r' WHEN 3 THEN '' ELSE 'ünïcödé 日本 😀' END,
	ROW(i, 'p,"' || i)::public.pair, decode(md5(i::text), 'hex'), 0.001 + i, timestamptz '2026-01-01 00:00:00Z' + i * interval '1 hour',
	ARRAY['a;', NULL, '{}', 'q"']
FROM generate_series(1, 500) i;
CREATE INDEX mood_index ON public.orders (mood) INCLUDE (qty) WHERE qty > 10;
CREATE INDEX lower_index ON public.orders (lower(note) COLLATE "C" DESC NULLS LAST);
CREATE UNIQUE INDEX hash_like ON public.orders USING btree (id public.cls);
CREATE STATISTICS public.stats (dependencies, ndistinct) ON mood, qty FROM public.orders;
ALTER TABLE public.orders CLUSTER ON orders_pkey;
ALTER TABLE public.orders REPLICA IDENTITY FULL;
CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON public.orders FOR EACH ROW EXECUTE FUNCTION public.stamp();
ALTER TABLE public.orders DISABLE TRIGGER stamp;

CREATE TABLE "Büro; ""x"""."Täble; x" (
	"a""b" integer REFERENCES public.orders (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
	"SELECT" text,
	EXCLUDE USING gist (box(point("a""b", 0), point("a""b", 1)) WITH &&)
);
INSERT INTO "Büro; ""x"""."Täble; x" VALUES (1, '\.'), (NULL, E'x\\.\n\\.'), (3, NULL);
CREATE TABLE public.nothing_at_all ();
INSERT INTO public.nothing_at_all DEFAULT VALUES;
CREATE UNLOGGED TABLE public.volatile (x integer);
INSERT INTO public.volatile VALUES (1);
CREATE TABLE public.other_am (x integer) USING heap2;

CREATE TABLE public.events (at date NOT NULL, kind text, PRIMARY KEY (at)) PARTITION BY RANGE (at);
CREATE TABLE public.events_2025 PARTITION OF public.events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE public.events_rest PARTITION OF public.events DEFAULT;
INSERT INTO public.events SELECT date '2025-11-01' + i, 'k' || i FROM generate_series(0, 99) i;
CREATE TABLE public.base (a integer);
CREATE TABLE public.child (b integer) INHERITS (public.base);
INSERT INTO public.base VALUES (1);
INSERT INTO public.child VALUES (2, 3), (4, 5);

CREATE VIEW public.cheap AS SELECT id, amount FROM public.orders WHERE amount < 100 WITH LOCAL CHECK OPTION;
CREATE VIEW public.round AS SELECT 1 AS x;
CREATE VIEW public.trip AS SELECT x FROM public.round;
CREATE OR REPLACE VIEW public.round AS SELECT x FROM (SELECT 1 AS x) s;
CREATE RULE redirect AS ON INSERT TO public.trip DO INSTEAD (INSERT INTO public.base VALUES (NEW.x); DELETE FROM public.base WHERE a = -1;);
CREATE MATERIALIZED VIEW public.a_depends AS SELECT 1 AS x;
CREATE MATERIALIZED VIEW public.z_first AS SELECT mood, count(*) AS n FROM public.orders GROUP BY mood;
DROP MATERIALIZED VIEW public.a_depends;
CREATE MATERIALIZED VIEW public.a_depends AS SELECT sum(n) AS n FROM public.z_first;
CREATE MATERIALIZED VIEW public.empty AS SELECT 1 AS x WITH NO DATA;
CREATE FUNCTION public.has_pk() RETURNS SETOF integer LANGUAGE sql AS 'SELECT id FROM public.orders';
CREATE VIEW public.grouped AS SELECT id, note, count(*) AS n FROM public.orders GROUP BY id;

ALTER TABLE public.base ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.base FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON public.base FOR SELECT TO reader USING (a > 0);
GRANT SELECT (id, note), UPDATE (note) ON public.orders TO reader;
GRANT ALL ON SCHEMA "Büro; ""x""" TO reader WITH GRANT OPTION;
REVOKE EXECUTE ON FUNCTION public.add_pair(public.pair) FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO reader;
ALTER TABLE public.events OWNER TO owner;
ALTER FUNCTION public.near(integer, integer) OWNER TO "Ö; owner";

CREATE FOREIGN DATA WRAPPER wrapper OPTIONS (debug 'tr;ue');
CREATE SERVER elsewhere TYPE 't' VERSION '1' FOREIGN DATA WRAPPER wrapper OPTIONS (host 'x');
CREATE USER MAPPING FOR reader SERVER elsewhere OPTIONS (password 'secret;');
CREATE FOREIGN TABLE public.far (x integer OPTIONS (c 'd')) SERVER elsewhere OPTIONS (t 'u');
CREATE PUBLICATION "some" FOR TABLE public.orders, public.events WITH (publish = 'insert');
CREATE PUBLICATION all_tables FOR ALL TABLES;
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.seen();
ALTER EVENT TRIGGER watch DISABLE;
COMMENT ON COLUMN public.orders.note IS 'a; $$ \. comment';
COMMENT ON CONSTRAINT amount_ok ON public.orders IS 'c';
SELECT lo_from_bytea(4711, decode(repeat('00ff5c0a2e', 20000), 'hex'));
SELECT lo_from_bytea(4712, '');
COMMENT ON LARGE OBJECT 4711 IS 'large';
GRANT SELECT ON LARGE OBJECT 4711 TO reader;
ALTER LARGE OBJECT 4712 OWNER TO owner;
COMMENT ON EXTENSION citext IS 'ours';
