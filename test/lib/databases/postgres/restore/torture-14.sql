-- What PostgreSQL 14 and 15 brought: bodies in plain SQL, multiranges, publications of schemas and columns.
CREATE FUNCTION public.body(a integer, OUT b integer) LANGUAGE sql BEGIN ATOMIC
	SELECT CASE WHEN a > 1 THEN 2 ELSE (CASE a WHEN 0 THEN 1 END) END;
	SELECT a + 1;
END;
CREATE PROCEDURE public.body_too() BEGIN ATOMIC
	INSERT INTO public.base VALUES (1);
	DELETE FROM public.base WHERE a = 99;
END;
CREATE TABLE public.multi (m public.span_multirange, c text COMPRESSION pglz);
CREATE TYPE public.wide AS RANGE (subtype = date, multirange_type_name = public.wide_many);
CREATE TABLE public.same (a integer, UNIQUE NULLS NOT DISTINCT (a));
CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA public;
CREATE PUBLICATION of_rows FOR TABLE public.base (a) WHERE (a > 5);
CREATE STATISTICS public.expr ON (a + 1), (a * 2) FROM public.base;
CREATE VIEW public.invoker WITH (security_invoker = true) AS SELECT 1 AS x;
CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 password=secret' PUBLICATION p WITH (connect = false, slot_name = NONE, enabled = false);
