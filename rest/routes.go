package rest

import "net/http"

// routes lists every way in. The handler serves it, and the OpenAPI document is made from it.
func (h *handler) routes() []route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	const tokens, ours = base + "/api-tokens", base + "/latchward"
	rotate, rotateKey := withoutBody(withSecret(operate(h.rotateToken))), withoutBody(operate(h.rotateKey))
	list := []route{
		{post, tokens, persons, "createToken", "Create a token", created(withSecret(operate(h.createToken)))},
		{get, tokens, persons, "listTokens", "List tokens with their counters", operate(h.tokens)},
		{get, tokens + "/stats/overview", persons, "usageOverview", "What all tokens did", operate(h.usageOverview)},
		{get, tokens + "/{id}", persons, "getToken", "Show a token", operate(h.token)},
		{put, tokens + "/{id}", persons, "updateToken", "Change a token", operate(h.updateToken)},
		{del, tokens + "/{id}", persons, "deleteToken", "Delete a token", operate(h.deleteToken)},
		{get, tokens + "/{id}/usage", persons, "tokenUsage", "What a token did", operate(h.tokenUsage)},
		{post, tokens + "/{id}/revoke", persons, "revokeToken", "End a token for good", withoutBody(operate(h.revokeToken))},
		{post, tokens + "/{id}/rotate", persons, "rotateToken", "Give a token a new secret", rotate},

		{post, ours + "/verify", verifiers, "verify", "May the holder of a token make a request?", h.verifyOperation()},
		{post, ours + "/verify/batch", verifiers, "verifyBatch", "Ask for several verdicts", h.batchOperation()},
		{post, ours + "/usage", verifiers, "reportUsage", "Report requests served elsewhere", operate(h.reportUsage)},

		{get, ours + "/users", persons, "listUsers", "List users", operate(h.users)},
		{post, ours + "/users", persons, "createUser", "Add a user", created(operate(h.createUser))},
		{get, ours + "/users/{id}", persons, "getUser", "Show a user", operate(h.user)},
		{put, ours + "/users/{id}", persons, "updateUser", "Change, disable or enable a user", operate(h.updateUser)},
		{del, ours + "/users/{id}", persons, "removeUser", "Remove a user and revoke their tokens", operate(h.removeUser)},

		{get, ours + "/keys", persons, "listKeys", "List the server keys", operate(h.keys)},
		{post, ours + "/keys/rotate", persons, "rotateKey", "Make new secrets under a new server key", rotateKey},
		{del, ours + "/keys/{version}", persons, "dropKey", "Refuse all secrets made under a server key", operate(h.dropKey)},
		{get, ours + "/audit", persons, "listAudit", "Who changed what", operate(h.audit)},
	}
	return append(list, h.documentRoutes(ours, list)...)
}

func (h *handler) verifyOperation() operation {
	return operation{
		status: http.StatusOK, body: shapeFor[VerifyRequest](), reply: shapeFor[Verdict](), write: h.verify,
	}
}

func (h *handler) batchOperation() operation {
	return operation{
		status: http.StatusOK, body: shapeFor[VerifyBatch](), reply: shapeFor[VerdictList](), write: h.verifyBatch,
	}
}
