package rest

import (
	"net/http"

	"github.com/latchward/latchward"
)

// routes lists every way in. The handler serves it, and the OpenAPI document is made from it.
func (h *handler) routes() []route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	const tokens, ours = base + "/api-tokens", base + "/latchward"
	create := repeatable(created(withSecret(forTokens(latchward.PermissionTokensCreate, operate(h.createToken)))))
	update := tagged(forTokens(latchward.PermissionTokensUpdate, operate(h.updateToken)))
	revoke := withoutBody(forTokens(latchward.PermissionTokensRevoke, operate(h.revokeToken)))
	rotate := repeatable(withoutBody(withSecret(forTokens(latchward.PermissionTokensRotate, operate(h.rotateToken)))))
	rotateMe := repeatable(withoutBody(withSecret(asHolder(h.rotateHeld))))
	bulk := forTokens(latchward.PermissionTokensUpdate, operate(h.bulkTokens))
	remove := forTokens(latchward.PermissionTokensDelete, operate(h.deleteToken))
	read := func(o operation) operation { return forTokens(latchward.PermissionTokensRead, o) }
	rotateKey, rotateSigning := withoutBody(operate(h.rotateKey)), withoutBody(operate(h.rotateSigningKey))
	passwordCode, secondFactor := withSecret(operate(h.issuePasswordCode)), operate(h.resetSecondFactor)
	list := []route{
		{post, tokens, persons, "createToken", "Create a token", create},
		{get, tokens, persons, "listTokens", "List tokens with their counters", read(operate(h.tokens))},
		{get, tokens + "/stats/overview", persons, "usageOverview", "What all tokens did", read(operate(h.usageOverview))},
		{get, tokens + "/{id}", persons, "getToken", "Show a token", read(operate(h.token))},
		{put, tokens + "/{id}", persons, "updateToken", "Change a token", update},
		{del, tokens + "/{id}", persons, "deleteToken", "Delete a token", remove},
		{get, tokens + "/{id}/rights", persons, "tokenRights", "What a token holds, and why", read(operate(h.tokenRights))},
		{get, tokens + "/{id}/usage", persons, "tokenUsage", "What a token did", read(operate(h.tokenUsage))},
		{post, tokens + "/{id}/revoke", persons, "revokeToken", "End a token for good", revoke},
		{post, tokens + "/{id}/rotate", persons, "rotateToken", "Give a token a new secret", rotate},

		{post, ours + "/tokens/import", persons, "importTokens", "Import tokens made elsewhere", h.importOperation()},
		{post, ours + "/tokens/bulk", persons, "bulkTokens", "Change many tokens as one", bulk},

		{post, ours + "/verify", verifiers, "verify", "May the holder of a token make a request?", h.verifyOperation()},
		{post, ours + "/verify/batch", verifiers, "verifyBatch", "Ask for several verdicts", h.batchOperation()},
		{post, ours + "/usage", verifiers, "reportUsage", "Report requests served elsewhere", operate(h.reportUsage)},

		{get, ours + "/me", holders, "me", "What the token that asks is and may do", asHolder(h.heldToken)},
		{get, ours + "/me/usage", holders, "myUsage", "What the token that asks did", asHolder(h.heldUsage)},
		{post, ours + "/me/rotate", holders, "rotateMe", "Give the token that asks a new secret", rotateMe},
		{post, ours + "/revoke", possessors, "revoke", "End the token that a secret belongs to", accepted(operate(h.revokeHeld))},

		{post, ours + "/explain", persons, "explain", "Why would a request be refused?", operate(h.explain)},

		{get, ours + "/users", persons, "listUsers", "List users", operate(h.users)},
		{post, ours + "/users", persons, "createUser", "Add a user", created(operate(h.createUser))},
		{get, ours + "/users/{id}", persons, "getUser", "Show a user", operate(h.user)},
		{put, ours + "/users/{id}", persons, "updateUser", "Change, disable or enable a user", tagged(operate(h.updateUser))},
		{del, ours + "/users/{id}", persons, "removeUser", "Remove a user and revoke their tokens", operate(h.removeUser)},

		{get, ours + "/users/{id}/rights", persons, "userRights", "What a user holds, and from where", operate(h.userRights)},
		{post, ours + "/users/{id}/password-code", persons, "issuePasswordCode", "Let a user set a password", passwordCode},
		{del, ours + "/users/{id}/second-factor", persons, "resetSecondFactor", "Turn a user's codes off", secondFactor},
		{del, ours + "/users/{id}/sessions", persons, "endSessions", "Sign a user out everywhere", operate(h.endSessions)},

		{get, ours + "/keys", persons, "listKeys", "List the server keys", operate(h.keys)},
		{post, ours + "/keys/rotate", persons, "rotateKey", "Make new secrets under a new server key", rotateKey},
		{get, ours + "/keys/signing", persons, "listSigningKeys", "List the signing keys", operate(h.signingKeys)},
		{post, ours + "/keys/signing/rotate", persons, "rotateSigningKey", "Sign with a new key", rotateSigning},
		{del, ours + "/keys/{version}", persons, "dropKey", "Refuse all secrets made under a server key", operate(h.dropKey)},
	}
	list = append(list, h.auditRoutes(ours+"/audit")...)
	list = append(list, h.rightsRoutes(ours)...)
	list = append(list, h.policyRoutes(ours+"/policies")...)
	return append(list, h.documentRoutes(ours, list)...)
}

// rightsRoutes are those about what people and tokens may hold.
func (h *handler) rightsRoutes(ours string) []route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	roles, groups, licenses, permissions := ours+"/roles", ours+"/groups", ours+"/licenses", ours+"/permissions"
	const member, seat = "/{id}/members/{user}", "/{id}/seats/{user}"
	text := withoutBody(operate(h.savePermission))
	return []route{
		{get, roles, persons, "listRoles", "List roles", operate(h.roles)},
		{post, roles, persons, "createRole", "Make a role", created(operate(h.createRole))},
		{get, roles + "/{id}", persons, "getRole", "Show a role", operate(h.role)},
		{put, roles + "/{id}", persons, "updateRole", "Change a role", tagged(operate(h.updateRole))},
		{del, roles + "/{id}", persons, "deleteRole", "Take a role from all", operate(h.deleteRole)},
		{get, groups, persons, "listGroups", "List groups", operate(h.groups)},
		{post, groups, persons, "createGroup", "Make a group", created(operate(h.createGroup))},
		{get, groups + "/{id}", persons, "getGroup", "Show a group", operate(h.group)},
		{put, groups + "/{id}", persons, "updateGroup", "Change, disable or enable a group", tagged(operate(h.updateGroup))},
		{del, groups + "/{id}", persons, "removeGroup", "Remove a group and revoke its tokens", operate(h.removeGroup)},
		{put, groups + member, persons, "addMember", "Make a user a member", operate(h.addMember)},
		{del, groups + member, persons, "removeMember", "Take a user out of a group", operate(h.removeMember)},
		{get, licenses, persons, "listLicenses", "List licenses with their seats", operate(h.licenses)},
		{post, licenses, persons, "createLicense", "Make a license", created(operate(h.createLicense))},
		{get, licenses + "/{id}", persons, "getLicense", "Show a license", operate(h.license)},
		{put, licenses + "/{id}", persons, "updateLicense", "Change a license", tagged(operate(h.updateLicense))},
		{del, licenses + "/{id}", persons, "deleteLicense", "Take a license from all", operate(h.deleteLicense)},
		{put, licenses + seat, persons, "takeSeat", "Give a user a seat", operate(h.takeSeat)},
		{del, licenses + seat, persons, "freeSeat", "Take a user's seat", operate(h.freeSeat)},
		{get, permissions, persons, "listPermissions", "List what can be granted", operate(h.permissions)},
		{put, permissions + "/{name}", persons, "savePermission", "Explain a permission", text},
		{del, permissions + "/{name}", persons, "deletePermission", "Forget a permission", operate(h.deletePermission)},
	}
}

// policyRoutes are those about how tokens are made, kept and replaced.
func (h *handler) policyRoutes(policies string) []route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return []route{
		{get, policies, persons, "listPolicies", "List policies", operate(h.policies)},
		{post, policies, persons, "createPolicy", "Make a policy", created(operate(h.createPolicy))},
		{get, policies + "/{id}", persons, "getPolicy", "Show a policy", operate(h.policy)},
		{put, policies + "/{id}", persons, "updatePolicy", "Change a policy", tagged(operate(h.updatePolicy))},
		{del, policies + "/{id}", persons, "deletePolicy", "Lift a policy", operate(h.deletePolicy)},
		{post, policies + "/{id}/apply", persons, "applyPolicy", "Bring tokens into line with their policies", operate(h.applyPolicy)},
	}
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
