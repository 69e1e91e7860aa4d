/* bind_hash.c - quern.core.hash: digests and names that nobody can guess. sha256 in any state, random in the main one.
 */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/sha256.h"
#include "lua/bind.h"
#include "lua/state.h"

#define MAX_RANDOM 64 /* bytes */

/* hash.sha256(text) -> 64 hexadecimal digits */
static int l_sha256(lua_State *L)
{
    char hex[QN_SHA256_HEX];
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    qn_sha256_hex(text, size, hex);
    lua_pushstring(L, hex);
    return 1;
}

/* hash.random(bytes) -> hexadecimal digits of so many bytes from the system */
static int l_random(lua_State *L)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[MAX_RANDOM];
    char hex[2 * MAX_RANDOM];
    lua_Integer count = luaL_checkinteger(L, 1);
    luaL_argcheck(L, count >= 1 && count <= MAX_RANDOM, 1, "1 to 64 bytes");
    qn_state_check_loaded(L, "chance");
    if (!qn_state_of(L)->runtime) return luaL_error(L, "hash.random is not available in a transform");
    if (getrandom(bytes, (size_t)count, 0) != (ssize_t)count)
        return luaL_error(L, "the system gives no random bytes: %s", strerror(errno));
    for (lua_Integer i = 0; i < count; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    lua_pushlstring(L, hex, 2 * (size_t)count);
    return 1;
}

int luaopen_quern_core_hash(lua_State *L)
{
    static const luaL_Reg functions[] = {{"sha256", l_sha256}, {"random", l_random}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
