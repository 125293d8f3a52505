// expect: an expert needs tensors(weights, shape, visit): its matrices by name
#include <prytany/expert/concept.hpp>

using namespace prytany;

struct idle {
    struct params {};
    template <auto Format>
    struct weights {};
#if !defined(PRYTANY_MUST_FAIL)
    template <class Weights, class Visit>
    void tensors(Weights&, shape const&, Visit&&) const {}
#endif
    struct scratch {
        void lay_out(arena&, shape const&, index_t) {}
    };
    template <auto My, auto Format, shape Fixed>
    static void apply(work const&, expert_kit<My, Format, Fixed>, scratch&,
                      matrix_view<float>) noexcept {}
};

static_assert(expert_kind<idle>);
