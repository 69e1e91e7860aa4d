--- Percent-encoding, and texts of names and values: url queries and form bodies.
local M = {}

function M.unescape(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

function M.escape(text)
  return (text:gsub("[^%w%-._~]", function(character) return ("%%%02X"):format(character:byte()) end))
end

--- "a=1&b=2" as a table of texts; the last of equal names wins.
function M.fields(text)
  local fields = {}
  for name, value in text:gmatch "([^&=]+)=([^&]*)" do fields[M.unescape(name)] = M.unescape(value) end
  return fields
end

return M
