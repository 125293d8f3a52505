// expect: a router needs template <auto My> static void select(seen, kit<My>, plan&)
#include <prytany/router/concept.hpp>

using namespace prytany;

struct first {
    struct params {};
    constexpr index_t slots(shape const&, params const&) const { return 1; }
    constexpr promises promise() const { return {}; }
#if !defined(PRYTANY_MUST_FAIL)
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        for (index_t t = 0; t < in.tokens(); ++t) out.put(t, 0, 1);
    }
#endif
};

static_assert(router_policy<first>);
