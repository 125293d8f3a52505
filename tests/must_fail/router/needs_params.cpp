// expect: a router needs a nested params struct: its run-time numbers, all defaulted
#include <prytany/router/concept.hpp>

using namespace prytany;

struct first {
#if !defined(PRYTANY_MUST_FAIL)
    struct params {};
#endif
    constexpr index_t slots(shape const&, params_of<first> const&) const { return 1; }
    constexpr promises promise() const { return {}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        for (index_t t = 0; t < in.tokens(); ++t) out.put(t, 0, 1);
    }
};

static_assert(router_policy<first>);
