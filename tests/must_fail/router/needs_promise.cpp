// expect: a router needs promise(): what it sees, and how its weights behave
#include <prytany/router/concept.hpp>

using namespace prytany;

struct first {
    struct params {};
    constexpr index_t slots(shape const&, params const&) const { return 1; }
#if !defined(PRYTANY_MUST_FAIL)
    constexpr promises promise() const { return {}; }
#endif
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        for (index_t t = 0; t < in.tokens(); ++t) out.put(t, 0, 1);
    }
};

static_assert(router_policy<first>);
