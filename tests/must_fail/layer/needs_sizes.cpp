// expect: a layer needs sizes(): its shape as plain data
#include <prytany/layer/concept.hpp>

using namespace prytany;

struct idle {
#if !defined(PRYTANY_MUST_FAIL)
    shape sizes() const { return {}; }
#endif
    template <class Visit>
    void for_each_tensor(Visit&&) const {}
    struct scratch {};
    void lay_out(scratch&, arena&, index_t, index_t) const {}
    template <class X, class Observer = unobserved>
    void forward(input const&, matrix_view<float>, workspace&, X&&, Observer&& = {}) const {}
};

static_assert(moe_layer<idle>);
