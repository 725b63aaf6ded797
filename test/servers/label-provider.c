/*
 * A provider of security labels for PostgreSQL 15 that takes any label for any object: Debian packages none. It declares by
 * hand what it needs of the server (fmgr.h, commands/seclabel.h), so that no headers of PostgreSQL have to be installed.
 */

/* Pg_magic_struct: without the right one the server refuses to load the library. */
static const struct {
	int len, version, funcmaxargs, indexmaxkeys, namedatalen, float8byval;
	char abi_extra[32];
} magic = {sizeof magic, 1500, 100, 32, 64, 1, "PostgreSQL"};

const void *Pg_magic_func(void)
{
	return &magic;
}

typedef struct {
	unsigned int classId, objectId;
	int objectSubId;
} ObjectAddress;

extern void register_label_provider(const char *name, void (*check)(const ObjectAddress *, const char *));

static void take_any(const ObjectAddress *object, const char *label)
{
	(void) object;
	(void) label;
}

void _PG_init(void)
{
	register_label_provider("house", take_any);
	register_label_provider("Ünü\"sual", take_any);
}
