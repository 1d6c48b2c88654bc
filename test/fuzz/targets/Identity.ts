/** Statements about keys, chains of them, and what a reader makes of them. */
import { Result } from "effect"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as KeyChain from "../../../src/protocol/identity/KeyChain.ts"
import * as KeyHistory from "../../../src/protocol/identity/KeyHistory.ts"
import * as KeyStanding from "../../../src/protocol/identity/KeyStanding.ts"
import * as KeyStatement from "../../../src/protocol/identity/KeyStatement.ts"
import { BEGIN, cancel, DAY, enrol, key, rotate } from "../../support/KeyChains.ts"
import * as Corpus from "../Corpus.ts"
import * as Fuzzer from "../Fuzzer.ts"
import { assertSame } from "../Oracle.ts"

const statements = () => [
  enrol(1, 9),
  rotate(1, 2, { by: "recovery", recovery: 9 }),
  rotate(2, 3, { sequence: 2, recovery: 9 }),
  cancel(2, 3, { sequence: 1, recovery: 9 })
]

const IDS = new Set(statements().map(KeyStatement.idOf))

/** A changed chain moves no key: what was not signed is not learnt, and nothing is counted that was not. */
const believed = (chain: KeyChain.KeyChain): unknown => {
  const begun = KeyHistory.begin(key(1).publicKey)
  const { verify } = NativeCrypto.crypto
  const history = KeyHistory.learn(begun, chain, { atSeconds: BEGIN, isFirst: true, verify })
  for (const { statement } of history.learnt)
    if (!IDS.has(KeyStatement.idOf(statement))) throw new Error("a statement that nobody signed is believed")
  return KeyStanding.at(history, BEGIN + DAY).path.length
}

/** Every format of this room. */
export const targets: ReadonlyArray<Fuzzer.Target> = [
  Fuzzer.decoder({
    name: "identity/KeyStatement",
    covers: [KeyStatement.decode],
    samples: () => statements().map(KeyStatement.encode),
    decode: (bytes) => {
      const decoded = KeyStatement.decode(bytes)
      if (Result.isFailure(decoded)) return decoded.failure._tag
      assertSame(KeyStatement.encode(decoded.success), bytes, "it is written as something else")
      return decoded.success.kind
    }
  }),
  Fuzzer.decoder({
    name: "identity/KeyChain",
    covers: [KeyChain.decode],
    samples: () => [KeyChain.encode(statements()), KeyChain.encode(statements().slice(0, 1))],
    decode: (bytes) => {
      const decoded = KeyChain.decode(bytes)
      if (Result.isFailure(decoded)) return decoded.failure._tag
      assertSame(KeyChain.encode(decoded.success), bytes, "it is written as something else")
      return believed(decoded.success)
    }
  }),
  Fuzzer.decoder({
    name: "identity/KeyChain text",
    covers: [KeyChain.parse],
    samples: () => Corpus.texts(KeyChain.toText(statements()), ""),
    decode: (bytes) => KeyChain.parse(Bytes.toUtf8Lossy(bytes))?.length
  })
]
