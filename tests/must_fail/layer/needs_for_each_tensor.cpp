// expect: a layer needs for_each_tensor(visit): its logical matrices by name
#include <prytany/layer/concept.hpp>

using namespace prytany;

struct idle {
    shape sizes() const { return {}; }
#if !defined(PRYTANY_MUST_FAIL)
    template <class Visit>
    void for_each_tensor(Visit&&) const {}
#endif
    struct scratch {};
    void lay_out(scratch&, arena&, index_t, index_t) const {}
    template <class X, class Observer = unobserved>
    void forward(input const&, matrix_view<float>, workspace&, X&&, Observer&& = {}) const {}
};

static_assert(moe_layer<idle>);
