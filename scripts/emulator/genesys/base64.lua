--- Base64 (RFC 4648) decoding, for Basic headers.
local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local VALUE = {}
for index = 1, #ALPHABET do VALUE[ALPHABET:byte(index)] = index - 1 end

--- The decoded bytes, or nil for a text that is not base64.
local function decode(text)
  local bits, count, out = 0, 0, {}
  for index = 1, #(text:gsub("=+$", "")) do
    local value = VALUE[text:byte(index)]
    if not value then return nil end
    bits, count = (bits << 6) | value, count + 6
    if count >= 8 then
      count = count - 8
      out[#out + 1] = string.char((bits >> count) & 0xFF)
    end
  end
  return table.concat(out)
end

return { decode = decode }
