// What Vite makes of imports that are no code: the address of a file, or nothing.
declare module '*.svg' {
  const address: string;
  export default address;
}
declare module '*.css';
