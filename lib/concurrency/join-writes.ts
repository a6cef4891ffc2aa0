/** The methods of a socket that joining needs. The domain imports no module of Node. */
type Socket = { write(...given: unknown[]): boolean; cork(): void; uncork(): void };

/**
 * Makes a socket send all writes of one turn of the event loop together, in their order. That takes fewer system calls
 * here, and a server fewer turns of its own for the same commands.
 */
export const joinWrites = (socket: Socket): void => {
  const { write } = socket;
  let isJoining = false;
  const send = () => {
    isJoining = false;
    socket.uncork();
  };
  socket.write = (...given: unknown[]) => {
    if (!isJoining) {
      isJoining = true;
      socket.cork();
      process.nextTick(send);
    }
    return Reflect.apply(write, socket, given);
  };
};
