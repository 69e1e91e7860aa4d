--- The faults: what each kind does, and the keys that it has of its own.
---
--- `instead` makes an answer in place of the right one, and the request is not carried out. `page` changes a page before it is
--- text, `body` the finished answer. A kind without these is asked for by the dialect that it concerns. `fits`: whether there is
--- anything to do for the kind at this request; one that does not fit is not counted.
local problem = require "genesys.ask".problem

local HTML = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"
local BOM = "\xEF\xBB\xBF"
local PADDED_HEADERS = 60

local function is_page(answer) return answer.page ~= nil end

local function signature(ask)
  local request = ask.request
  return ("%s %s?%s %s"):format(request.method, request.path, request.query, request.body)
end

local function total_of(answer)
  local rest = answer.page and answer.page.rest
  return rest and rest.total and rest
end

local function origin_and(to, rest) return (to:gsub("/+$", "")) .. rest end

return {
  -- ---- instead of an answer

  status = {
    keys = { retry_after = "text", message = "text" },
    instead = function(rule)
      return problem(rule.status, rule.message or ("emulated fault %d"):format(rule.status),
        rule.retry_after and { ["Retry-After"] = rule.retry_after })
    end,
  },
  unavailable = {
    keys = { seconds = "number", retry_after = "text" },
    instead = function(rule)
      rule.over = rule.over or os.time() + (rule.seconds or 60)
      return problem(503, "the service is unavailable", rule.retry_after and { ["Retry-After"] = rule.retry_after })
    end,
  },
  revoke = {
    instead = function(_, ask)
      ask.api.tokens:revoke(ask.request)
      return problem(401, "the token was revoked")
    end,
  },
  foreign_redirect = {
    keys = { to = "text!" },
    instead = function(rule, ask)
      local query = ask.request.query
      return { status = 307, headers = { Location = origin_and(rule.to, ask.request.path .. (query ~= "" and "?" .. query or "")) } }
    end,
  },

  -- ---- up to the dialects

  cursor_expired = {},
  job_failed = { keys = { message = "text" } },
  job_stuck = {},
  short = { keys = { by = "number" } },

  -- ---- a page of records

  duplicate = {
    fits = function(_, _, answer) return is_page(answer) and answer.page.before ~= nil end,
    page = function(_, _, answer) table.insert(answer.page.items, 1, answer.page.before) end,
  },
  late = {
    keys = { records = "number" },
    fits = function(rule, ask, answer)
      return is_page(answer) and #answer.page.items > 0 and not (rule.asked and rule.asked[signature(ask)])
    end,
    page = function(rule, ask, answer)
      local items = answer.page.items
      for _ = 1, math.min(rule.records or 1, #items) do items[#items] = nil end
      rule.asked = rule.asked or {}
      rule.asked[signature(ask)] = true
    end,
  },
  wrong_total = {
    keys = { by = "number" },
    fits = function(_, _, answer) return total_of(answer) end,
    page = function(rule, _, answer)
      local rest, by = total_of(answer), rule.by or 7
      rest.total = rest.total + by
      if rest.summary then rest.summary.totalConversations = rest.summary.totalConversations + by end
    end,
  },
  wrong_pages = {
    keys = { by = "number" },
    fits = function(_, _, answer) return is_page(answer) and (answer.page.rest or {}).pageCount ~= nil end,
    page = function(rule, _, answer)
      local rest = answer.page.rest
      rest.pageCount = math.max(rest.pageCount + (rule.by or 1), 0)
    end,
  },
  foreign_link = {
    keys = { to = "text!" },
    fits = function(_, _, answer) return is_page(answer) and answer.page.next ~= nil end,
    page = function(rule, _, answer)
      answer.page.next = origin_and(rule.to, (answer.page.next:gsub("^https?://[^/]+", "")))
    end,
  },

  -- ---- the finished answer

  ["repeat"] = {
    fits = function(_, ask) return ask.api.previous[ask.step] ~= nil end,
    body = function(_, ask)
      local previous = ask.api.previous[ask.step]
      return { status = previous.status, headers = previous.headers, body = previous.body }
    end,
  },
  malformed = { body = function(_, _, answer) answer.body = answer.body:sub(1, -2) end },
  html = { body = function() return { status = 200, headers = { ["Content-Type"] = "text/html" }, body = HTML } end },
  bom = { body = function(_, _, answer) answer.body = BOM .. answer.body end },
  slow = { keys = { after = "number" }, body = function(rule, _, answer) answer.after = rule.after or 2 end },
  truncate = { body = function(_, _, answer) answer.fault, answer.cut = "truncate", #answer.body // 2 end },
  reset = { body = function(_, _, answer) answer.fault = "reset" end },
  close = { body = function(_, _, answer) answer.fault = "close" end },
  gzip = { body = function(_, _, answer) answer.gzip = true end },
  chunked = { body = function(_, _, answer) answer.chunked = true end },
  huge_headers = {
    keys = { bytes = "number" },
    body = function(rule, _, answer)
      local padding = ("x"):rep((rule.bytes or 60000) // PADDED_HEADERS)
      answer.headers = answer.headers or {}
      for number = 1, PADDED_HEADERS do answer.headers[("X-Padding-%02d"):format(number)] = padding end
    end,
  },
}
