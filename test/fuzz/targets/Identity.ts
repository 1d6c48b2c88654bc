/** Statements about keys, chains of them, and what a reader makes of them. */
import { Result } from "effect"
import * as IdentityBackup from "../../../src/actors/layers/IdentityBackup.ts"
import * as MembershipFile from "../../../src/actors/layers/MembershipFile.ts"
import * as ChainFile from "../../../src/actors/trust/ChainFile.ts"
import * as RecoveryFile from "../../../src/cli/identity/RecoveryFile.ts"
import * as KeyFile from "../../../src/cli/KeyFile.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as SealedText from "../../../src/core/crypto/SealedText.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as KeyChain from "../../../src/protocol/identity/KeyChain.ts"
import * as KeyChainMessage from "../../../src/protocol/identity/KeyChainMessage.ts"
import * as KeyHistory from "../../../src/protocol/identity/KeyHistory.ts"
import * as KeyHistoryText from "../../../src/protocol/identity/KeyHistoryText.ts"
import * as KeyStanding from "../../../src/protocol/identity/KeyStanding.ts"
import * as KeyStatement from "../../../src/protocol/identity/KeyStatement.ts"
import * as NodeKeys from "../../../src/protocol/registry/NodeKeys.ts"
import * as Identity from "../../../src/protocol/trust/Identity.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
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

const history = () =>
  KeyHistory.learn(KeyHistory.begin(key(1).publicKey), statements(), {
    ...{ atSeconds: BEGIN, isFirst: true },
    verify: NativeCrypto.crypto.verify
  })

const COST = { n: 16_384, r: 8, p: 1 }
/** Deriving a key takes longer than a thousand inputs may: here it is one for all. */
const cheap = { ...NativeCrypto.crypto, scrypt: () => new Uint8Array(32).fill(5) }
const identity = () =>
  Identity.encodeFile({
    ...NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(1)),
    chain: KeyChain.toText(statements())
  })
const TRUST = '{"trusted": []}'
const MEMBERSHIPS = JSON.stringify({
  cards: [{ alias: "acme", slot: 1, registry: "r.acme.example:9000", beacon: "r.acme.example:9001" }],
  lastSlot: 1
})

const backup = () =>
  JSON.stringify({
    format: "effect-pilot backup",
    version: 1,
    created_at: BEGIN,
    encrypted_at_rest: false,
    files: {
      ...{ "identity.key": identity(), "trust.json": TRUST, "pins.json": '{"nodes": [], "names": []}' },
      ...{ "memberships.json": MEMBERSHIPS, "memberships/acme/trust.json": TRUST }
    }
  })

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
  }),
  Fuzzer.decoder({
    name: "file/backup",
    covers: [IdentityBackup.parse, MembershipFile.decode],
    format: "json",
    samples: () => Corpus.texts(backup()),
    decode: (bytes) => IdentityBackup.parse(Bytes.toUtf8Lossy(bytes), publicKeyOf)?.files.length
  }),
  Fuzzer.decoder({
    name: "identity/KeyChainMessage",
    covers: [KeyChainMessage.decode],
    format: "json",
    samples: () => [KeyChainMessage.encode({ node: NodeId(7), chain: statements() })],
    decode: (bytes) => KeyChainMessage.decode(bytes)?.chain.length
  }),
  Fuzzer.decoder({
    name: "file/chains.json",
    covers: [ChainFile.decode, KeyHistoryText.decode],
    format: "json",
    samples: () => Corpus.texts(ChainFile.encode(new Map([[NodeId(7), history()]]))),
    decode: (bytes) => {
      const decoded = ChainFile.decode(Bytes.toUtf8Lossy(bytes))
      if (decoded === undefined) return undefined
      const again = ChainFile.decode(ChainFile.encode(decoded))
      assertSame(again, decoded, "its own writing is read as something else")
      return [...decoded.values()].map((one) => KeyStanding.at(one, BEGIN).path.length)
    }
  }),
  Fuzzer.decoder({
    name: "registry/NodeKeys",
    covers: [NodeKeys.decode],
    format: "json",
    samples: () =>
      Corpus.texts(NodeKeys.encode({ history: history(), retired: [key(1).publicKey], sinceSeconds: BEGIN })),
    decode: (bytes) => NodeKeys.decode(Bytes.toUtf8Lossy(bytes))?.retired.length
  }),
  Fuzzer.decoder({
    name: "file/recovery key",
    covers: [RecoveryFile.parse, KeyFile.decode],
    format: "json",
    samples: () =>
      Corpus.texts(
        JSON.stringify({ recovery_key: Bytes.toBase64(Bytes.concat(new Uint8Array(32).fill(9), key(9).publicKey)) })
      ),
    decode: (bytes) => RecoveryFile.parse(Bytes.toUtf8Lossy(bytes))?.publicKey
  }),
  Fuzzer.decoder({
    name: "file/sealed text",
    covers: [SealedText.open],
    format: "json",
    samples: () => Corpus.texts(SealedText.sealer(cheap, "passphrase", "identity", COST).seal(identity())),
    decode: (bytes) => {
      const opened = SealedText.open(cheap, Bytes.toUtf8Lossy(bytes), "passphrase", "identity")
      if (Result.isFailure(opened)) return opened.failure
      if (opened.success.text !== identity()) throw new Error("a text that nobody sealed is opened")
      return "opened"
    }
  })
]

const publicKeyOf = (seed: Uint8Array) => NativeCrypto.crypto.signingKey(seed).publicKey
