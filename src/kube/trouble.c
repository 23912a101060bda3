/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/trouble.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "kube/config.h"
#include "kube/json.h"

/* ---- sorting ---- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = kube_json_text(object, key);

	return text ? text : "";
}

static bool has_cause(const json_t *status, const char *cause)
{
	const json_t *causes = json_object_get(json_object_get(status, "details"), "causes"), *item;
	size_t i;

	json_array_foreach(causes, i, item) if (strcmp(text_of(item, "reason"), cause) == 0) return true;
	return false;
}

/* Servers before 1.19 say it in the message alone. */
static bool is_too_large(const json_t *status)
{
	return has_cause(status, "ResourceVersionTooLarge") || strstr(text_of(status, "message"), "Too large resource version");
}

static enum kube_outcome outcome_of(long code, const json_t *status)
{
	if (code == 504 && is_too_large(status))
		return KUBE_TOO_LARGE;
	switch (code) {
	case 200:
		return KUBE_OK;
	case 401:
		return KUBE_UNAUTHORIZED;
	case 403:
		return KUBE_FORBIDDEN;
	case 404:
		return KUBE_MISSING;
	case 410:
		return KUBE_EXPIRED;
	case 429:
		return KUBE_BUSY;
	}
	return code >= 500 ? KUBE_FAILED : code >= 400 ? KUBE_REJECTED : KUBE_GARBLED;
}

static uint32_t retry_after_of(const json_t *status)
{
	const json_t *seconds = json_object_get(json_object_get(status, "details"), "retryAfterSeconds");
	json_int_t value = json_is_integer(seconds) ? json_integer_value(seconds) : 0;

	return value <= 0 ? 0 : value > 3600 ? 3600000 : (uint32_t)value * 1000;
}

struct kube_verdict kube_verdict_of_status(const json_t *status)
{
	const json_t *code = json_object_get(status, "code");
	struct kube_verdict verdict = { .outcome = KUBE_GARBLED };
	const char *reason = text_of(status, "reason");

	verdict.status = json_is_integer(code) ? (long)json_integer_value(code) : 0;
	/* "Gone" is what "Expired" was called up to 1.17; a Status without a code still says it. */
	if (verdict.status == 0 && (strcmp(reason, "Expired") == 0 || strcmp(reason, "Gone") == 0))
		verdict.status = 410;
	if (verdict.status && verdict.status != 200) /* an error that says all is well is none of Kubernetes */
		verdict.outcome = outcome_of(verdict.status, status);
	verdict.retry_after_ms = retry_after_of(status);
	snprintf(verdict.text, sizeof(verdict.text), "%s", text_of(status, "message"));
	return verdict;
}

struct kube_verdict kube_verdict_of(const struct kube_answer *answer)
{
	struct kube_verdict verdict = { .status = answer->status, .retry_after_ms = answer->retry_after_ms };
	json_t *status;

	if (answer->status && answer->status != 200) {
		status = json_loadb(answer->body, answer->body_len, JSON_REJECT_DUPLICATES, NULL);
		verdict.outcome = outcome_of(answer->status, status);
		if (!verdict.retry_after_ms)
			verdict.retry_after_ms = retry_after_of(status);
		snprintf(verdict.text, sizeof(verdict.text), "%s", text_of(status, "message"));
		json_decref(status);
		return verdict;
	}
	verdict.error = answer->error;
	if (answer->error == 0)
		verdict.outcome = KUBE_OK;
	else
		verdict.outcome = answer->error == -EBADMSG || answer->error == -E2BIG || answer->error == -ENOMEM ? KUBE_GARBLED
														   : KUBE_BROKEN;
	snprintf(verdict.text, sizeof(verdict.text), "%s", answer->reason);
	return verdict;
}

/* ---- telling ---- */

/* A shell, and a reader, may take it as it stands: what the server says ends up in a command to copy. */
static bool is_plain(struct slice user)
{
	for (size_t i = 0; i < user.len; i++)
		if (!isalnum((unsigned char)user.at[i]) && !strchr(":._@/+=-", user.at[i]))
			return false;
	return user.len > 0;
}

/* Who was refused, by the words of the server: User "system:serviceaccount:shop:app" cannot list ... */
static void user_of(const char *message, char *buf, size_t size)
{
	const char *begin = strstr(message, "User \""), *end;

	buf[0] = '\0';
	if (!begin)
		return;
	begin += strlen("User \"");
	end = strchr(begin, '"');
	if (end && (size_t)(end - begin) < size && is_plain((struct slice){ begin, (size_t)(end - begin) }))
		snprintf(buf, size, "%.*s", (int)(end - begin), begin);
}

/* "--serviceaccount=shop:app" or "--user=NAME". */
static void subject_of(const char *user, char *buf, size_t size)
{
	static const char account[] = "system:serviceaccount:";

	if (strstr(user, account) == user)
		snprintf(buf, size, "--serviceaccount=%s", user + sizeof(account) - 1);
	else
		snprintf(buf, size, "--user='%s'", user[0] ? user : "WHO");
}

static void print_forbidden(const struct kube_verdict *verdict, const char *namespace, char buf[KUBE_TROUBLE_SIZE])
{
	char user[128], subject[160];

	user_of(verdict->text, user, sizeof(user));
	subject_of(user, subject, sizeof(subject));
	if (namespace)
		snprintf(buf, KUBE_TROUBLE_SIZE,
			 "not allowed to list and watch services and endpointslices in namespace %s (403, %s): "
			 "kubectl -n %s create role fairdial --verb=list,watch --resource=services,endpointslices.discovery.k8s.io && "
			 "kubectl -n %s create rolebinding fairdial --role=fairdial %s",
			 namespace, user[0] ? user : "forbidden", namespace, namespace, subject);
	else
		snprintf(buf, KUBE_TROUBLE_SIZE,
			 "not allowed to list and watch services and endpointslices in all namespaces (403, %s): "
			 "kubectl create clusterrole fairdial --verb=list,watch --resource=services,endpointslices.discovery.k8s.io && "
			 "kubectl create clusterrolebinding fairdial --clusterrole=fairdial %s, or name namespaces with --namespace",
			 user[0] ? user : "forbidden", subject);
}

static void print_unauthorized(const struct kube_config *config, char buf[KUBE_TROUBLE_SIZE])
{
	if (config->token_file)
		snprintf(buf, KUBE_TROUBLE_SIZE,
			 "%s does not accept the token in %s (401): it has expired, or is another cluster's; it is read again at each try",
			 config->server, config->token_file);
	else
		snprintf(buf, KUBE_TROUBLE_SIZE,
			 "%s does not accept the credentials of %s (401): they have expired, or are another cluster's; "
			 "get others, as with kubectl create token",
			 config->server, config->description);
}

static void print_broken(const struct kube_verdict *verdict, const struct kube_config *config, char buf[KUBE_TROUBLE_SIZE])
{
	const char *authority = config->ca_data ? "certificate-authority-data" : config->ca_file ? config->ca_file : "the system's";

	if (verdict->error == -EKEYREJECTED)
		snprintf(buf, KUBE_TROUBLE_SIZE,
			 "cannot trust %s: %s: check that its certificate is signed by the authority of %s (%s)", config->server,
			 verdict->text, config->description, authority);
	else
		snprintf(buf, KUBE_TROUBLE_SIZE,
			 "cannot reach %s (%s): %s: check that the API server is up, and that no NetworkPolicy stands between",
			 config->server, config->description, verdict->text);
}

char *kube_trouble_print(const struct kube_verdict *verdict, const struct kube_config *config, const char *namespace,
			 char buf[KUBE_TROUBLE_SIZE])
{
	const char *text = verdict->text[0] ? verdict->text : "no reason given";

	switch (verdict->outcome) {
	case KUBE_FORBIDDEN:
		print_forbidden(verdict, namespace, buf);
		break;
	case KUBE_UNAUTHORIZED:
		print_unauthorized(config, buf);
		break;
	case KUBE_MISSING:
		snprintf(buf, KUBE_TROUBLE_SIZE,
			 "%s has no services or no endpointslices of discovery.k8s.io/v1 (404): it needs Kubernetes 1.21, and the URL to be "
			 "that of its API",
			 config->server);
		break;
	case KUBE_GARBLED:
		snprintf(buf, KUBE_TROUBLE_SIZE, "%s answers what no API server says: %s: check the URL in %s", config->server, text,
			 config->description);
		break;
	case KUBE_BROKEN:
		print_broken(verdict, config, buf);
		break;
	default:
		snprintf(buf, KUBE_TROUBLE_SIZE, "%s answers %ld: %s: tried again until it does not", config->server, verdict->status,
			 text);
	}
	return buf;
}
