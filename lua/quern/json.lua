--- The exact JSON codec.
---
---     json.decode '{"id": 9007199254740993, "list": []}'   --> { id = 9007199254740993, list = {} }
---     json.encode { b = json.null, a = 1.0, list = json.array {} }   --> {"a":1.0,"b":null,"list":[]}
---
--- Integers within 64 bits are Lua integers. A number whose value no float's shortest decimal has (1e400, or 30 digits)
--- is a `quern.number` that keeps its text. `[]` stays an array, `{}` an object; null is `json.null`, not nil.
local core = require "quern.core.json"

local M = {}

--- JSON null. The same value everywhere; `tostring` gives "null".
---@type lightuserdata
M.null = core.null

--- Reads one JSON text (RFC 8259, checked whole; a leading byte order mark is skipped). Objects become tables (the last
--- of duplicate members wins), arrays become tables that `is_array` knows. Lone surrogates become U+FFFD.
---@param text string|quern.Bytes
---@return any value  nil if it is not JSON
---@return quern.Error? err  kind "json"; `message` says what was expected where, `offset` is the byte counted from 0
function M.decode(text)
  return core.decode(text)
end

--- Writes a value without white space, members sorted by name. A table with elements 1 to n is an array, `array {}` is
--- `[]`, any other empty table `{}`. Whole floats keep their ".0". Time values become their ISO 8601 text. Views are
--- written as they stand in their page.
--- Raises a quern.error of kind "json" that names the place (".body.filter[2]") for what has no JSON form: nil, NaN,
--- infinities, functions, secrets, text that is not UTF-8, tables with both elements and names or with gaps, tables that
--- hold themselves, nesting beyond 1000.
---@param value any
---@return string
function M.encode(value)
  return core.encode(value)
end

--- As `encode`, with the members of views sorted and rewritten, too: equal values give equal texts, for hashes.
---@param value any
---@return string
function M.canonical(value)
  return core.canonical(value)
end

--- Marks a table as an array, so that it is written as `[]` even when empty.
---@generic T: table
---@param list? T  a new table if absent; one with a metatable of its own is refused
---@return T list  the same table
function M.array(list)
  return core.array(list)
end

--- Is it an array that was decoded or marked, or a view of one?
---@param value any
---@return boolean
function M.is_array(value)
  return core.is_array(value)
end

--- A number that keeps its text: written unquoted, compared by value (==) with its like, `tostring` gives the text.
---@param text string  as JSON writes numbers; anything else raises
---@return quern.Number
function M.number(text)
  return core.number(text)
end

--- The same JSON text without white space between its tokens; everything else stays as it is.
---@param text string|quern.Bytes
---@return string? minified  nil if it is not JSON
---@return quern.Error? err
function M.minify(text)
  return core.minify(text)
end

return M
