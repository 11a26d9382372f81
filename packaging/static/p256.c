// Multiplies the base point of the curve P-256 as ring multiplies any other point. ring's own
// functions of these names are some microseconds faster by a table of 148 KiB, which the linker
// leaves out when it finds these first. For processors of 64 bits; the others have no such table.
#include <stdint.h>

#define NAMED(version, name) ring_core_##version##__##name
#define OF(version, name) NAMED(version, name)

typedef uint64_t Limb;

void OF(RING, p256_point_mul)(Limb r[3][4], const Limb scalar[4], const Limb x[4], const Limb y[4]);

// The base point (SEC 2, section 2.4.2), each coordinate times 2^256, the lowest limb first.
static const Limb X[4] = {0x79e730d418a9143c, 0x75ba95fc5fedb601, 0x79fb732b77622510,
                          0x18905f76a53755c6};
static const Limb Y[4] = {0xddf25357ce95560a, 0x8b4ab8e4ba19e45c, 0xd2e88688dd21f325,
                          0x8571ff1825885d85};

void OF(RING, p256_point_mul_base)(Limb r[3][4], const Limb scalar[4]) {
  OF(RING, p256_point_mul)(r, scalar, X, Y);
}

void OF(RING, p256_point_mul_base_vartime)(Limb r[3][4], const Limb scalar[4]) {
  OF(RING, p256_point_mul)(r, scalar, X, Y);
}
