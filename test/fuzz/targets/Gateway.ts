/** What clients of a gateway say before it is known where they want to go. */
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Mapping from "../../../src/protocol/gateway/Mapping.ts"
import * as PilotName from "../../../src/protocol/gateway/PilotName.ts"
import * as Socks5 from "../../../src/protocol/gateway/Socks5.ts"
import * as Subnet from "../../../src/protocol/gateway/Subnet.ts"
import * as Corpus from "../Corpus.ts"
import * as Fuzzer from "../Fuzzer.ts"
import { assertSame } from "../Oracle.ts"

/** A step uses no byte after it, and is not there without its last. */
const steps = (bytes: Uint8Array): unknown =>
  [Socks5.greeting, Socks5.credentials, Socks5.request].map((decode) => {
    const step = decode(bytes)
    if (!("usedBytes" in step)) return step._tag
    assertSame(decode(bytes.slice(0, step.usedBytes)), step, "bytes after the step change it")
    assertSame(decode(bytes.slice(0, step.usedBytes - 1))._tag, "NeedMore", "it is there without its last byte")
    return step._tag
  })

const texts = (bytes: Uint8Array): unknown => {
  const text = Bytes.toUtf8Lossy(bytes)
  return [
    Mapping.parse(text)._tag,
    PilotName.parse(text),
    PilotName.parseAuthority(text, 80)?.port,
    Subnet.parse(text)._tag
  ]
}

/** Every format of this file. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Fuzzer.decoder({
    name: "gateway/Socks5",
    covers: [Socks5.greeting, Socks5.credentials, Socks5.request],
    samples: () => [
      Uint8Array.of(5, 2, 0, 2),
      Bytes.concat(Uint8Array.of(1, 1, 97, 2), Bytes.fromUtf8("pw")),
      Bytes.concat(Uint8Array.of(5, 1, 0, 3, 7), Bytes.fromUtf8("a.pilot"), Uint8Array.of(0, 80)),
      Uint8Array.of(5, 1, 0, 1, 10, 0, 0, 1, 0, 80)
    ],
    decode: steps
  }),
  Fuzzer.decoder({
    name: "gateway/texts",
    covers: [Mapping.parse, PilotName.parse, PilotName.parseAuthority, Subnet.parse],
    samples: () => Corpus.texts("127.0.0.1:18080=mcp-host:8080", "mcp-host.pilot:8080", "127.44.0.0/16"),
    decode: texts
  })
]
