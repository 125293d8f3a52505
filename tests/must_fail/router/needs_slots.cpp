// expect: a router needs slots(shape, params): the most slots one token may get
#include <prytany/router/concept.hpp>

using namespace prytany;

struct first {
    struct params {};
#if defined(PRYTANY_MUST_FAIL)
    constexpr index_t most(shape const&, params const&) const { return 1; }
#else
    constexpr index_t slots(shape const&, params const&) const { return 1; }
#endif
    constexpr promises promise() const { return {}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept {
        for (index_t t = 0; t < in.tokens(); ++t) out.put(t, 0, 1);
    }
};

static_assert(router_policy<first>);
