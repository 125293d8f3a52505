// expect: a scalar converts from float (rounding to nearest even) and to float
#include <prytany/core/scalar.hpp>

#if defined(PRYTANY_MUST_FAIL)
struct mute {};
#else
struct mute {
    constexpr explicit mute(float) {}
    constexpr explicit operator float() const { return 0; }
};
#endif

static_assert(prytany::scalar<mute>);

int main() {}
