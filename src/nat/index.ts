/** NAT traversal as a library: values in, values out. No socket, clock or randomness inside. */
export * as AddressDiscovery from "./AddressDiscovery.ts"
export * as BeaconDirectory from "./BeaconDirectory.ts"
export * as Path from "./Path.ts"
export * as PathMtu from "./PathMtu.ts"
export { PathSelector } from "./PathSelector.ts"
