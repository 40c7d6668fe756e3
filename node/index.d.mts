export * from './index.js';
declare const x0x: typeof import('./index.js');
export default x0x;
