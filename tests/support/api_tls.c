/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of the API server: made anew for each, so that none can be out of date. */
#include "support/testing.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "support/api_state.h"

enum { HOUR = 3600, DAY = 24 * HOUR };

struct identity {
	EVP_PKEY *key;
	X509 *cert;
};

static void need(bool worked, const char *what)
{
	if (!worked)
		fail_msg("%s: %s", what, ERR_error_string(ERR_get_error(), NULL));
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	need(extension && X509_add_ext(cert, extension, -1), value);
	X509_EXTENSION_free(extension);
}

static void set_name(X509 *cert, const char *name)
{
	X509_NAME *subject = X509_get_subject_name(cert);

	need(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0), name);
}

/* A certificate of today; `issuer` NULL: by itself. */
static struct identity identity_make(const char *name, const struct identity *issuer, const char *use,
				     const char *names)
{
	struct identity made = { EVP_EC_gen("P-256"), X509_new() };
	static long serial;

	need(made.key && made.cert, "key");
	if (!issuer)
		issuer = &made;
	X509_set_version(made.cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(made.cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(made.cert), -HOUR);
	X509_gmtime_adj(X509_getm_notAfter(made.cert), DAY);
	X509_set_pubkey(made.cert, made.key);
	set_name(made.cert, name);
	X509_set_issuer_name(made.cert, X509_get_subject_name(issuer->cert));
	add_extension(made.cert, issuer->cert, NID_basic_constraints, use ? "critical,CA:FALSE" : "critical,CA:TRUE");
	add_extension(made.cert, issuer->cert, NID_subject_key_identifier, "hash");
	if (use)
		add_extension(made.cert, issuer->cert, NID_ext_key_usage, use);
	if (names)
		add_extension(made.cert, issuer->cert, NID_subject_alt_name, names);
	need(X509_sign(made.cert, issuer->key, EVP_sha256()), "signature");
	return made;
}

static void identity_free(struct identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->cert);
}

static void write_cert(const char *path, X509 *cert)
{
	FILE *file = fopen(path, "we");

	need(file && PEM_write_X509(file, cert) && fclose(file) == 0, path);
}

static void write_key(const char *path, EVP_PKEY *key)
{
	FILE *file = fopen(path, "we");

	need(file && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) && fclose(file) == 0, path);
}

/* Whoever comes is let in: what their certificate is worth is a question for the request, as in the real one. */
static int let_in(int verified, X509_STORE_CTX *store)
{
	(void)verified, (void)store;
	return 1;
}

static SSL_CTX *context_of(const struct identity *server, X509 *client_ca)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	need(context && SSL_CTX_use_certificate(context, server->cert) == 1 &&
		     SSL_CTX_use_PrivateKey(context, server->key) == 1,
	     "context");
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_num_tickets(context, 1);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets carry it all */
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"api", 3);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(context), client_ca);
	SSL_CTX_add_client_CA(context, client_ca);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, let_in);
	return context;
}

void certs_make(struct api_certs *certs, const char *dir)
{
	static const char names[] = "IP:127.0.0.1,IP:::1,DNS:localhost,DNS:kubernetes.default.svc";
	struct identity ca = identity_make("kubernetes", NULL, NULL, NULL);
	struct identity other_ca = identity_make("somebody-else", NULL, NULL, NULL);
	struct identity server = identity_make("kube-apiserver", &ca, "serverAuth", names);
	struct identity other = identity_make("kube-apiserver", &other_ca, "serverAuth", names);
	struct identity client = identity_make("viewer", &ca, "clientAuth", NULL);

	certs->own = context_of(&server, ca.cert);
	certs->other = context_of(&other, ca.cert);
	snprintf(certs->ca, sizeof(certs->ca), "%s/ca.crt", dir);
	snprintf(certs->other_ca, sizeof(certs->other_ca), "%s/other-ca.crt", dir);
	snprintf(certs->client_cert, sizeof(certs->client_cert), "%s/client.crt", dir);
	snprintf(certs->client_key, sizeof(certs->client_key), "%s/client.key", dir);
	write_cert(certs->ca, ca.cert);
	write_cert(certs->other_ca, other_ca.cert);
	write_cert(certs->client_cert, client.cert);
	write_key(certs->client_key, client.key);
	identity_free(&ca);
	identity_free(&other_ca);
	identity_free(&server);
	identity_free(&other);
	identity_free(&client);
}

void certs_done(struct api_certs *certs)
{
	SSL_CTX_free(certs->own);
	SSL_CTX_free(certs->other);
}
