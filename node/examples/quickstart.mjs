import { Agent } from 'x0x';

const agent = new Agent();
await agent.joinNetwork();
await agent.publish('topic', Buffer.from('hello'));
