// One lambda for each alternative of a variant, as std::visit wants them.
#pragma once

namespace amphi::server {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace amphi::server
