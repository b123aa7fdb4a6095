"""AWS::SNS and AWS::SQS, except topics and queues."""

from __future__ import annotations

import json

from localaws.cloudformation.resource import Handled, Request, ResourceType, put_again


def _subscribe(request: Request) -> Handled:
    answer = request.call("sns", "subscribe", **request.pick("TopicArn", "Protocol", "Endpoint"))
    return Handled(answer["SubscriptionArn"], {"Arn": answer["SubscriptionArn"]})


def _unsubscribe(request: Request, physical_id: str) -> None:
    request.call("sns", "unsubscribe", SubscriptionArn=physical_id)


def _put_topic_policy(request: Request) -> Handled:
    policy = json.dumps(request.properties["PolicyDocument"])
    for topic in request.properties["Topics"]:
        request.call("sns", "set_topic_attributes", TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    return Handled(request.name)


def _put_queue_policy(request: Request) -> Handled:
    policy = json.dumps(request.properties["PolicyDocument"])
    for queue in request.properties["Queues"]:
        request.call("sqs", "set_queue_attributes", QueueUrl=queue, Attributes={"Policy": policy})
    return Handled(request.name)


def _leave_policy(request: Request, physical_id: str) -> None:
    """Delete nothing: neither API can remove a policy. It is deleted with its topic or queue."""


TYPES = (
    ResourceType("AWS::SNS::Subscription", _subscribe, _unsubscribe),
    ResourceType(
        "AWS::SNS::TopicPolicy",
        _put_topic_policy,
        _leave_policy,
        put_again(_put_topic_policy),
    ),
    ResourceType(
        "AWS::SQS::QueuePolicy",
        _put_queue_policy,
        _leave_policy,
        put_again(_put_queue_policy),
    ),
)
