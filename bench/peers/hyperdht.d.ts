/** The part of hyperdht that is used here; the package has no types of its own. */
declare module "hyperdht" {
  import type { Duplex } from "node:stream"

  interface Options {
    readonly bootstrap?: ReadonlyArray<string>
    readonly host?: string
    readonly port?: number
    readonly ephemeral?: boolean
    readonly firewalled?: boolean
  }
  interface KeyPair {
    readonly publicKey: Buffer
    readonly secretKey: Buffer
  }
  export default class HyperDHT {
    static keyPair(): KeyPair
    constructor(options: Options)
    fullyBootstrapped(): Promise<void>
    createServer(connected: (socket: Duplex) => void): { listen(keyPair: KeyPair): Promise<void> }
    connect(publicKey: Buffer): Duplex
    destroy(options?: { readonly force?: boolean }): Promise<void>
  }
}
