// expect: an expert needs a nested scratch with lay_out(arena, shape, rows)
#include <prytany/expert/concept.hpp>

using namespace prytany;

struct idle {
    struct params {};
    template <auto Format>
    struct weights {};
    template <class Weights, class Visit>
    void tensors(Weights&, shape const&, Visit&&) const {}
    struct scratch {
#if !defined(PRYTANY_MUST_FAIL)
        void lay_out(arena&, shape const&, index_t) {}
#endif
    };
    template <auto My, auto Format, shape Fixed>
    static void apply(work const&, expert_kit<My, Format, Fixed>, scratch&,
                      matrix_view<float>) noexcept {}
};

static_assert(expert_kind<idle>);
