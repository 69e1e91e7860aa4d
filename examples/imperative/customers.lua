-- A program: a script that returns a function. It asks an API for one thing after another and emits rows.
--
-- Here: each customer of a shop with open orders, one row a customer. README.md says how to run it.
local quern = require "quern"

-- All pages, in order; each answer says where the next one is.
local function pages(api, path)
  return coroutine.wrap(function()
    local response = assert(api:get(path, { query = { status = "open" } }))
    while response do
      local page = response:json()
      coroutine.yield(page)
      local link = page.links.next
      if not link or quern.is_null(link) then return end
      response = assert(api:send { url = assert(api:resolve(link, response.url)) })
    end
  end)
end

return function(args)
  local least = tonumber(args.least or 1) or error "least: it is not a number"
  local api = assert(quern.http.client {
    base_url = quern.env "SHOP_URL",
    auth = quern.auth.bearer(quern.secret.env "SHOP_TOKEN"),
  })
  quern.fields { "customer", "orders", "first", "last" }
  for page in pages(api, "/v1/orders") do
    for _, customer in ipairs(page.data.customers) do
      local orders = customer.orders
      if #orders >= least then
        quern.emit { customer = customer.name, orders = #orders, first = orders[1].placed, last = orders[#orders].placed }
      end
    end
  end
end
