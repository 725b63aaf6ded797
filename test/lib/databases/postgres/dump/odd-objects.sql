-- What is easily taken for something else where a dump is read as text.
CREATE TABLE public."INSERT INTO x.y (c) VALUES (NULL);" ("FROM ONLY a.b" integer, "NULL" text, "c, d" text, """" text, "ü
ö" text);
INSERT INTO public."INSERT INTO x.y (c) VALUES (NULL);" VALUES (1, '\N', E'\\.\n', '"', 'ü'), (NULL, NULL, NULL, NULL, NULL);
CREATE SCHEMA "FROM ONLY";
CREATE TABLE "FROM ONLY"."a.b" ("select" integer);
INSERT INTO "FROM ONLY"."a.b" VALUES (7);
CREATE TABLE public."null" ("null" integer);
INSERT INTO public."null" VALUES (1), (NULL);
CREATE FUNCTION public.impostor() RETURNS text LANGUAGE sql AS $$
SELECT '
\restrict abc
--
-- Data for Name: orders; Type: TABLE DATA; Schema: public; Owner: postgres
--

INSERT INTO public.orders (c, c) VALUES (NULL, NULL);
SET transaction_timeout = 0;
\unrestrict abc

--
-- PostgreSQL database dump complete
--

' $$;

-- Tables without a column that is stored: their rows are a number.
CREATE TABLE public.no_columns ();
INSERT INTO public.no_columns SELECT FROM generate_series(1, 250);
CREATE TABLE public.only_generated (g integer GENERATED ALWAYS AS (1 + 1) STORED);
INSERT INTO public.only_generated SELECT FROM generate_series(1, 3);
CREATE TABLE public.dropped_columns (a integer, b integer, c integer);
INSERT INTO public.dropped_columns VALUES (1, 2, 3);
ALTER TABLE public.dropped_columns DROP COLUMN a, DROP COLUMN b;

CREATE TABLE public.always (id bigint GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 5), x text);
INSERT INTO public.always (x) VALUES ('a'), ('b');
CREATE SEQUENCE public.called START 5;
SELECT setval('public.called', 42, false);
CREATE TABLE public.floats (f float4, d float8, i interval, t timestamptz);
INSERT INTO public.floats VALUES (0.1, 0.1::float8 + 0.2::float8, '-1 year 2 days', '2026-06-01 12:00+02'), ('NaN', '-Infinity', '1 mon', 'infinity');
CREATE TABLE public.long_values (t text, b bytea);
INSERT INTO public.long_values SELECT repeat(md5(i::text), 30000), decode(repeat(md5(i::text), 10000), 'hex') FROM generate_series(1, 5) i;
CREATE TABLE public.many AS SELECT i, md5(i::text) AS t FROM generate_series(1, 50000) i;
