import x0x, { Agent, liveHandles, type Subscription, type TopicLink, type TopicMesh } from 'x0x';

export async function main(): Promise<void> {
  await using agent = await Agent.create();
  await using sub: Subscription = agent.subscribe('topic');
  const mesh: TopicMesh[] = agent.topicMesh();
  const links: TopicLink[] = mesh.flatMap((topic) => topic.links);
  console.log(...mesh, links.length);
  const { value, done } = await sub.next({ timeout: 5 });
  if (!done) console.log(value.payload);
  for await (const message of agent.directMessages()) console.log(message.trustDecision, x0x.NAME, liveHandles());
}
