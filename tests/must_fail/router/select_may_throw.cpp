// expect: a router needs template <auto My> static void select(seen, kit<My>, plan&)
#include <prytany/router/concept.hpp>

using namespace prytany;

#if defined(PRYTANY_MUST_FAIL)
constexpr bool quiet = false;
#else
constexpr bool quiet = true;
#endif

struct first {
    struct params {};
    constexpr index_t slots(shape const&, params const&) const { return 1; }
    constexpr promises promise() const { return {}; }
    template <auto My>
    static void select(seen const& in, kit<My>, plan& out) noexcept(quiet) {
        for (index_t t = 0; t < in.tokens(); ++t) out.put(t, 0, 1);
    }
};

static_assert(router_policy<first>);
