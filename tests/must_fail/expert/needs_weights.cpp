// expect: an expert needs a nested template <auto Format> struct weights: its matrices
#include <prytany/expert/concept.hpp>

using namespace prytany;

struct idle {
    struct params {};
#if !defined(PRYTANY_MUST_FAIL)
    template <auto Format>
    struct weights {};
#endif
    template <class Weights, class Visit>
    void tensors(Weights&, shape const&, Visit&&) const {}
    struct scratch {
        void lay_out(arena&, shape const&, index_t) {}
    };
    template <auto My, auto Format, shape Fixed>
    static void apply(work const&, expert_kit<My, Format, Fixed>, scratch&,
                      matrix_view<float>) noexcept {}
};

static_assert(expert_kind<idle>);
