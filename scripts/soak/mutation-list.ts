/**
 * One line each that makes the product worse in one mechanism. A test checks that every text is still found exactly once,
 * and that `docs/simulation.md` lists every name.
 */

/**
 * `file` is below `src`; `from` is found in it exactly once, and `to` takes its place. The mixed scenario must fail then, or
 * the `scenario` below `test/sim` that is named because the mixed one cannot see it.
 */
export interface Mutation {
  readonly name: string
  readonly scenario?: string
  readonly file: string
  readonly from: string
  readonly to: string
}

/** All of them. */
export const MUTATIONS: ReadonlyArray<Mutation> = [
  {
    name: "deliver-out-of-order",
    file: "protocol/stream/ReceiveBuffer.ts",
    from: "if (start <= this.#next && this.#ranges.length === 0 && this.freeSegments > 0) {",
    to: "if (this.#ranges.length === 0 && this.freeSegments > 0) {"
  },
  {
    name: "merged-ranges-end-too-early",
    file: "protocol/stream/ReceiveBuffer.ts",
    from: "    before.end = after.end\n",
    to: "    before.end = after.start\n"
  },
  {
    name: "send-a-byte-twice",
    file: "protocol/stream/SendBuffer.ts",
    from: "      chunk.start += taken\n",
    to: "      chunk.start += taken - 1\n"
  },
  {
    name: "acknowledge-what-is-missing",
    file: "protocol/stream/SackScoreboard.ts",
    from: "for (let segment = this.#segments.first; segment !== undefined && segment.end <= position; ) {",
    to: "for (let segment = this.#segments.first; segment !== undefined && segment.start <= position; ) {"
  },
  {
    name: "sack-one-segment-too-many",
    file: "protocol/stream/SackScoreboard.ts",
    from: "for (let segment = this.#segments.at(index); segment !== undefined && segment.end <= right; ) {",
    to: "for (let segment = this.#segments.at(index); segment !== undefined && segment.start <= right; ) {"
  },
  {
    name: "never-time-out",
    scenario: "Streams.test.ts",
    file: "protocol/stream/Recovery.ts",
    from: 'if (expiry === "Timeout") this.#timedOut(progress, nowMs)',
    to: 'if (expiry === "Timeout") return expiry'
  },
  {
    name: "never-reopen-the-window",
    scenario: "Streams.test.ts",
    file: "protocol/stream/FlowControl.ts",
    from: "    this.#segments = segments\n",
    to: "    this.#segments = Math.min(this.#segments, segments)\n"
  },
  {
    name: "never-send-a-fin",
    scenario: "Streams.test.ts",
    file: "protocol/stream/FinExchange.ts",
    from: "    this.#isFinSent = true\n    this.#isFinDue = true\n",
    to: "    this.#isFinSent = true\n"
  },
  {
    name: "fin-one-byte-too-late",
    scenario: "Streams.test.ts",
    file: "protocol/stream/FinExchange.ts",
    from: "      this.#peerFinPosition = position\n",
    to: "      this.#peerFinPosition = position + 1\n"
  },
  {
    name: "close-drops-what-is-unsent",
    scenario: "Streams.test.ts",
    file: "protocol/stream/Closing.ts",
    from: "if (!this.#sender.isDrained && nowMs >= this.#lingerUntilMs) {",
    to: "if (!this.#sender.isDrained && nowMs >= this.#closeAtMs) {"
  },
  {
    name: "tell-an-end-only-once",
    scenario: "Mechanisms.test.ts",
    file: "protocol/stream/FinExchange.ts",
    from: '    this.#isFinDue = true\n    return "SendFin"\n',
    to: '    return "SendFin"\n'
  },
  {
    name: "never-probe-a-closed-window",
    scenario: "Mechanisms.test.ts",
    file: "protocol/stream/FlowControl.ts",
    from: 'return this.#probes <= EMPTY_PROBES ? "Empty" : "Data"',
    to: 'return "None"'
  },
  {
    name: "use-keys-before-they-are-proven",
    scenario: "Mechanisms.test.ts",
    file: "protocol/tunnel/KeyRing.ts",
    from: "this.#candidates = [...this.#candidates, keys].slice(-CANDIDATES_MAX)",
    to: "this.#current = keys"
  },
  {
    name: "never-challenge-new-keys",
    scenario: "Mechanisms.test.ts",
    file: "protocol/tunnel/Tunnel.ts",
    from: "if (fresh !== undefined) this.#challenge(fresh.keys, fresh.path, fresh.atMs)",
    to: "if (fresh === null) throw fresh"
  },
  {
    name: "challenge-new-keys-only-once",
    scenario: "Mechanisms.test.ts",
    file: "protocol/tunnel/Tunnel.ts",
    from: "if (nowMs - this.#challengedAtMs >= CHALLENGE_INTERVAL_MS) this.#challenge(keys, undefined, nowMs)",
    to: "this.#challengedAtMs = nowMs"
  },
  {
    name: "reuse-nonces",
    file: "protocol/tunnel/TunnelKeys.ts",
    from: "this.#sealedFrames += 1",
    to: "this.#sealedFrames = 1"
  },
  {
    name: "accept-replays",
    file: "protocol/tunnel/ReplayWindow.ts",
    from: "if ((this.#blocks[index]! & bit) !== 0) return false",
    to: "if ((this.#blocks[index]! & bit) !== 0) return true"
  },
  {
    name: "send-in-clear",
    file: "actors/layers/MemberStart.ts",
    from: "encrypt: config.encrypt,",
    to: "encrypt: false,"
  },
  {
    name: "public-nodes-let-anybody-in",
    file: "actors/node/NodeContext.ts",
    from: "(port === ECHO_PORT && self.isPublic())",
    to: "self.isPublic()"
  },
  {
    name: "stay-on-a-dead-path",
    scenario: "Recovery.test.ts",
    file: "nat/PathRanking.ts",
    from: "unanswered < UNANSWERED_MIN ?",
    to: "unanswered >= 0 ?"
  },
  {
    name: "never-look-for-a-direct-path",
    scenario: "Recovery.test.ts",
    file: "nat/PathSelector.ts",
    from: "nowMs >= this.#probeAtMs(candidate)",
    to: "nowMs < 0"
  },
  {
    name: "let-the-mapping-expire",
    file: "actors/node/RegistrationActor.ts",
    from: "const mapped = yield* options.mapping.announce(options.node())",
    to: "const mapped = options.mapping.endpoint"
  },
  {
    name: "beacon-relays-to-nobody",
    file: "nat/BeaconDirectory.ts",
    from: "return BeaconEntry.addresses(target, nowMs).map(",
    to: "return BeaconEntry.addresses(target, nowMs).slice(1).map("
  },
  {
    name: "registry-forgets",
    file: "actors/registry/SqlRegistryStore.ts",
    from: "Effect.forEach(changes, (change) =>",
    to: "Effect.forEach(changes.slice(1), (change) =>"
  },
  {
    name: "keep-a-lost-registry-connection",
    file: "actors/registry/RegistryConnection.ts",
    from: "if (this.#open?.isOver === false) return",
    to: "if (this.#open !== undefined) return"
  },
  {
    name: "forget-trust-on-disk",
    file: "actors/trust/TrustStoreFile.ts",
    from: "AtomicFile.write(path, TrustFile.encode(content),",
    to: "AtomicFile.write(path, TrustFile.encode(TrustFile.empty),"
  },
  {
    name: "new-identity-at-each-start",
    file: "core/crypto/IdentityFile.ts",
    from: "return (yield* load(path, format)) ?? (yield* create(path, format))",
    to: "return yield* create(path, format)"
  },
  {
    name: "do-not-sync-files",
    file: "core/storage/AtomicFile.ts",
    from: "yield* file.sync",
    to: "yield* Effect.void"
  },
  {
    name: "heartbeat-outlives-its-node",
    file: "actors/node/RegistrationActor.ts",
    from: "Effect.forkScoped({ startImmediately: true }),",
    to: "Effect.forkDetach({ startImmediately: true }),"
  },
  {
    name: "side-sockets-stay-open",
    scenario: "Birthday.test.ts",
    file: "actors/node/SideSockets.ts",
    from: "filter((side) => side !== chosen)",
    to: "slice(0, 0)"
  },
  {
    name: "dials-cannot-be-given-up",
    scenario: "Recovery.test.ts",
    file: "actors/node/Outgoing.ts",
    from: "    restore,\n    Effect.as(",
    to: "    Effect.as("
  },
  {
    name: "confirm-what-is-to-come",
    file: "protocol/relay/RelayInbox.ts",
    from: "this.#handedOverSeq = message.lastSeq",
    to: "this.#handedOverSeq = message.lastSeq + 1"
  },
  {
    name: "resume-without-sending-again",
    file: "protocol/relay/RelayOutbox.ts",
    from: "    this.#sentCount = 0\n    this.#outstandingBytes = 0\n",
    to: ""
  },
  {
    name: "take-a-new-session-for-the-old-one",
    scenario: "Mcp.test.ts",
    file: "actors/mcp/mount/ShimSession.ts",
    from: "if (welcome.resumed || before === undefined) {",
    to: "if (!welcome.resumed || before === undefined) {"
  },
  {
    name: "services-for-everybody-trusted",
    file: "actors/mcp/keeper/ServiceTable.ts",
    from: "keys.length > 0 && (service.rules",
    to: "keys.length > 0 || (service.rules"
  }
]
