"""A HEIC file made by hand: one HEVC still picture whose blocks are raw samples (PCM).

References are to H.265 (ITU-T, 04/2013) and ISO/IEC 23008-12. Only what a test needs: 16 x 16
blocks of 4:2:0, 8 bits, every block with pcm_flag.
"""

import struct

# rangeTabLps (table 9-46) of the states that part_mode passes through here, and one beyond.
LPS = ((128, 176, 208, 240), (128, 167, 197, 227), (128, 158, 187, 216), (123, 150, 178, 205))


class Bits:
    """Most significant bit first."""

    def __init__(self):
        self.bits = []

    def u(self, count, value):
        self.bits += [value >> i & 1 for i in reversed(range(count))]
        return self

    def ue(self, *values):
        for value in values:
            length = (value + 1).bit_length()
            self.u(2 * length - 1, value + 1)
        return self

    def align(self, stop=False):
        if stop:
            self.u(1, 1)
        return self.u(-len(self.bits) % 8, 0)

    def data(self):
        self.align()
        rows = [self.bits[i : i + 8] for i in range(0, len(self.bits), 8)]
        return bytes(int("".join(map(str, row)), 2) for row in rows)


class Cabac:
    """The arithmetic coder (9.3.4) for one context that always takes its likely symbol."""

    def __init__(self, bits):
        self.out, self.state = bits, 0
        self.start()

    def start(self):
        self.low, self.range, self.first, self.outstanding = 0, 510, True, 0

    def put(self, bit):
        if self.first:
            self.first = False
        else:
            self.out.u(1, bit)
        self.out.bits += [1 - bit] * self.outstanding
        self.outstanding = 0

    def renormalise(self):
        while self.range < 256:
            if self.low < 256:
                self.put(0)
            elif self.low >= 512:
                self.low -= 512
                self.put(1)
            else:
                self.low -= 256
                self.outstanding += 1
            self.range, self.low = self.range << 1, self.low << 1

    def likely(self):
        self.range -= LPS[self.state][self.range >> 6 & 3]
        self.state += 1
        self.renormalise()

    def terminate(self, bit):
        self.range -= 2
        if not bit:
            self.renormalise()
            return
        self.low += self.range
        self.range = 2
        self.renormalise()
        self.put(self.low >> 9 & 1)
        self.out.u(2, self.low >> 7 & 3 | 1)


def profile(bits):
    bits.u(2, 0).u(1, 0).u(5, 3).u(32, 0x70000000).u(4, 0b1011).u(44, 0).u(8, 30)


def nal(kind, payload):
    out, zeros = bytearray(), 0
    for byte in payload:
        if zeros == 2 and byte <= 3:
            out.append(3)  # emulation prevention
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes([kind << 1, 1]) + bytes(out)


def parameter_sets(width, height):
    vps = Bits().u(4, 0).u(2, 3).u(6, 0).u(3, 0).u(1, 1).u(16, 0xFFFF)
    profile(vps)
    vps.u(1, 1).ue(0, 0, 0).u(6, 0).ue(0).u(2, 0).align(stop=True)
    sps = Bits().u(4, 0).u(3, 0).u(1, 1)
    profile(sps)
    sps.ue(0, 1, width, height).u(1, 0).ue(0, 0, 0).u(1, 1).ue(0, 0, 0)
    sps.ue(1, 0, 0, 2, 0, 0)  # blocks of 16, transforms of 4 to 16
    sps.u(3, 0).u(1, 1).u(8, 0x77).ue(1, 0).u(1, 1)  # PCM of 8 bits in blocks of 16
    sps.ue(0).u(5, 0).align(stop=True)
    pps = Bits().ue(0, 0).u(7, 0).ue(0, 0, 0).u(3, 0).ue(0, 0).u(7, 0).u(3, 0b101).u(2, 0)
    pps.ue(0).u(2, 0).align(stop=True)
    return nal(32, vps.data()), nal(33, sps.data()), nal(34, pps.data())


def picture_slice(y, cb, cr):
    """Rows of luma (H, W) and chroma (H/2, W/2) levels; H and W multiples of 16."""
    bits = Bits().u(2, 0b10).ue(0, 2, 0).align(stop=True)
    coder = Cabac(bits)
    places = [(r, c) for r in range(0, len(y), 16) for c in range(0, len(y[0]), 16)]
    for r, c in places:
        coder.likely()  # part_mode: the block is not divided
        coder.terminate(1)  # pcm_flag
        bits.align()
        for plane, n in ((y, 16), (cb, 8), (cr, 8)):
            top, left = r * n // 16, c * n // 16
            for row in plane[top : top + n]:
                for level in row[left : left + n]:
                    bits.u(8, int(level))
        coder.start()
        coder.terminate((r, c) == places[-1])  # end_of_slice_segment_flag
    return nal(19, bits.align().data())


def box(kind, *parts, version=None):
    body = b"".join(parts)
    if version is not None:
        body = struct.pack(">I", version << 24) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


def heic(y, cb, cr, *, turn=0):
    """A file of at most four blocks; ``turn`` counts quarter turns against the clock."""
    height, width = len(y), len(y[0])
    sets = parameter_sets(width, height)
    config = struct.pack(">BBIHIBHBBBBHBB", 1, 3, 0x70000000, 0xB000, 0, 30, 0xF000, 0xFC, 0xFD,
                         0xF8, 0xF8, 0, 0x0F, 3)  # fmt: skip
    for kind, unit in zip((32, 33, 34), sets, strict=True):
        config += struct.pack(">BHH", 0x80 | kind, 1, len(unit)) + unit
    unit = picture_slice(y, cb, cr)
    sample = struct.pack(">I", len(unit)) + unit
    properties = [
        box(b"hvcC", config),
        box(b"ispe", struct.pack(">II", width, height), version=0),
        box(b"colr", b"nclx", struct.pack(">HHHB", 1, 13, 6, 0x80)),  # BT.601, full range
        box(b"irot", bytes([turn])),
    ]
    links = struct.pack(">IHB", 1, 1, 4) + bytes([0x81, 2, 3, 0x84])

    def meta(offset):
        return box(
            b"meta",
            box(b"hdlr", b"\0" * 4 + b"pict" + b"\0" * 13, version=0),
            box(b"pitm", struct.pack(">H", 1), version=0),
            box(
                b"iloc", struct.pack(">HHHHHII", 0x4400, 1, 1, 0, 1, offset, len(sample)), version=0
            ),
            box(
                b"iinf",
                struct.pack(">H", 1),
                box(b"infe", struct.pack(">HH4s", 1, 0, b"hvc1"), b"\0", version=2),
                version=0,
            ),
            box(b"iprp", box(b"ipco", *properties), box(b"ipma", links, version=0)),
            version=0,
        )

    head = box(b"ftyp", b"heic", b"\0\0\0\0", b"mif1heic")
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", sample)
