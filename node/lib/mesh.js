'use strict';

const { inspect } = require('node:util');
const { AgentId } = require('./ids.js');

/** By their numbers in x0x.h. */
const TOPIC_PRIORITIES = Object.freeze(['normal', 'high', 'low']);

/** How one topic flows through an agent; as text it is a table for people. */
class TopicMesh {
  /** A row of X0X_M_TOPIC_MESH; a newer library may append to it. */
  constructor([topicId, name, priority, subscriptions, retained, missing, links]) {
    /** What the network calls it: a hash, as hex. */
    this.topicId = Buffer.from(topicId).toString('hex');
    /** '' if it is only relayed. */
    this.name = name;
    this.priority = TOPIC_PRIORITIES[priority] ?? 'normal';
    this.subscriptions = subscriptions;
    this.retained = retained;
    this.missing = missing;
    this.links = links.map(linkOf);
  }

  toString() {
    const { priority, subscriptions, retained, missing } = this;
    const name = this.name ? inspect(this.name) : `relayed ${this.topicId.slice(0, 16)}`;
    const head = `${name}: ${priority} priority, ${subscriptions} subscriptions, ${retained} retained, ${missing} missing`;
    return [head, ...this.links.map(lineOf)].join('\n  ');
  }

  [inspect.custom]() {
    return this.toString();
  }
}

/** rtt in milliseconds; it and distance are undefined where they are not known. */
function linkOf([agent, eager, carries, distance, rtt, first, duplicates]) {
  return {
    agentId: new AgentId(agent),
    eager,
    carries,
    interested: distance !== null,
    distance: distance ?? undefined,
    rtt: rtt > 0 ? rtt / 1000 : undefined,
    first,
    duplicates,
  };
}

function lineOf({ agentId, eager, distance, rtt, first, duplicates }) {
  let who = 'subscribes';
  if (distance === undefined) who = 'nobody subscribes';
  else if (distance > 0) who = `subscriber ${distance} further`;
  const time = rtt === undefined ? '? ms' : `${rtt.toFixed(1)} ms`;
  return (
    `${agentId.toString().slice(0, 16)}  ${(eager ? 'eager' : 'lazy').padEnd(5)}  ${who.padEnd(20)}  ` +
    `${time.padStart(9)}  ${first} first, ${duplicates} duplicate`
  );
}

module.exports = { TopicMesh, TOPIC_PRIORITIES };
