-- What scripts/load has wrk send: KIND says which request, TOKENS is a file with one token a line, VERIFIER a service
-- token. Each request is for the next token.
local requests, at = {}, 0
local json = {["Content-Type"] = "application/json"}

local function with(token, more)
	local headers = {["Authorization"] = "Bearer " .. token, ["Accept"] = "application/json", ["User-Agent"] = "load/1.0"}
	for name, value in pairs(more) do headers[name] = value end
	return headers
end

local make = {
	get = function(token)
		return wrk.format("GET", "/api/products?store_id=1", with(token, {}))
	end,
	post = function(token)
		return wrk.format("POST", "/api/products", with(token, json), string.rep('{"name":"value"}', 32))
	end,
	verify = function(token)
		local body = '{"token":"' .. token .. '","method":"GET","path":"/products/1","address":"192.0.2.1"'
		return wrk.format("POST", "/api/latchward/verify", with(os.getenv("VERIFIER"), json), body .. "}")
	end,
	unrecorded = function(token)
		local body = '{"token":"' .. token .. '","method":"GET","path":"/products/1","address":"192.0.2.1","record":false'
		return wrk.format("POST", "/api/latchward/verify", with(os.getenv("VERIFIER"), json), body .. "}")
	end,
}

function init()
	for token in io.lines(os.getenv("TOKENS")) do
		table.insert(requests, make[os.getenv("KIND")](token))
	end
end

function request()
	at = at % #requests + 1
	return requests[at]
end
