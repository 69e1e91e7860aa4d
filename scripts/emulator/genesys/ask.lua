--- One request as the dialects see it: what it carries, checked, and the words that refuse it.
---
--- A check that fails raises an answer; genesys.lua sends it. So a dialect reads as a list of what it wants, then what it gives.
local json = require "quern.json"
local quern = require "quern"
local validate = require "quern.validate"
local urls = require "genesys.urls"

local ANALYTICS = "/api/v2/analytics/conversations"
local CODES = { [400] = "bad.request", [401] = "bad.credentials", [403] = "missing.permissions", [404] = "not.found",
                [413] = "request.entity.too.large", [429] = "too.many.requests", [503] = "service.unavailable" }

local Ask = {}
Ask.__index = Ask

--- An error answer in the API's form.
local function problem(status, message, headers)
  return { status = status, headers = headers,
           json = { message = message, code = CODES[status] or "error", status = status, details = json.array {}, errors = json.array {} } }
end

--- `api`: the server's state; `path`: without the prefix.
local function new(api, request, path)
  return setmetatable({ api = api, request = request, path = path, query = urls.fields(request.query), names = {} }, Ask)
end

--- Ends the request with an error answer.
function Ask.refuse(_, status, format, ...)
  error(problem(status, format:format(...)), 0)
end

--- Goes on only if there is no problem (an error of quern.validate): else 400 with its words.
function Ask:valid(problem_found)
  if problem_found then self:refuse(400, "%s", tostring(problem_found.message)) end
end

--- The body, a JSON object.
function Ask:json()
  local body = json.decode(self.request.body)
  if type(body) ~= "table" or json.is_array(body) then self:refuse(400, "the request body is not a JSON object") end
  return body
end

--- The milliseconds of two instants with from < to.
function Ask:range(from, to, from_name, to_name)
  self:valid(validate.instant(from, from_name) or validate.instant(to, to_name))
  local from_ms, to_ms = quern.time.parse(from), quern.time.parse(to)
  if from_ms >= to_ms then self:refuse(400, "the range is empty: %s is not before %s", from, to) end
  return from_ms, to_ms
end

--- dateFrom and dateTo of a body; with `grain_ms` both must lie on it.
function Ask:dates(body, grain_ms, grain_name)
  local from, to = self:range(body.dateFrom, body.dateTo, "dateFrom", "dateTo")
  if grain_ms and (from % grain_ms ~= 0 or to % grain_ms ~= 0) then
    self:refuse(400, "dateFrom %s and dateTo %s do not lie on %s", body.dateFrom, body.dateTo, grain_name)
  end
  return from, to
end

--- A list that holds exactly these texts in this order.
function Ask:exactly(list, wanted, name)
  self:valid(validate.list(list, { name = name }))
  if table.concat(list, "\n") ~= table.concat(wanted, "\n") then
    self:refuse(400, "%s must be %s", name, json.encode(wanted))
  end
end

--- A list of at least one of these texts.
function Ask:among(list, known, name)
  self:valid(validate.list(list, { name = name, min = 1, of = function(item) return validate.enum(item, known) end }))
end

--- A whole number of the url query.
function Ask:number(name, otherwise, bounds)
  local text = self.query[name]
  local value = text == nil and otherwise or math.tointeger(tonumber(text))
  self:valid(validate.integer(value or text, { name = name, min = bounds.min, max = bounds.max }))
  return value
end

--- The token must have been asked for this way ("form" or "basic"), with this scope.
function Ask:token_by(way, scope)
  local token = self.token
  if token.way ~= way then
    self:refuse(401, "this endpoint takes tokens asked for by %s; this one came by %s",
      way == "form" and "form body (client_id, client_secret)" or "Basic header", token.way == "form" and "form body" or "Basic header")
  end
  if scope and not (" " .. token.scope .. " "):find(" " .. scope .. " ", 1, true) then
    self:refuse(403, "the token lacks the scope %s; ask for it with the token", scope)
  end
end

--- A link to another page of this endpoint: the API's path without its prefix, or absolute if the server was told so.
function Ask:link(query)
  local p = self.api.p
  if not p.absolute_links then return self.path .. "?" .. query end
  return ("http://%s%s%s?%s"):format(self.request.headers.host or "localhost", p.prefix, self.path, query)
end

--- The fault of this kind that the request meets, or nil. Dialects ask when it comes to that.
function Ask:meets(kind)
  return self.api.faults:meets(kind, self)
end

return { new = new, problem = problem, ANALYTICS = ANALYTICS }
