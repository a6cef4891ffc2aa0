"""Runs an emulated AWS: MiniStack, with a stand-in for each resource type of this template that MiniStack lacks.

emulator.ts starts it, and gives it an environment. SETTINGS is a JSON object: a secret "<stack>/<NAME>" holds
SETTINGS[NAME], the URL of a local server, instead of the URL in the template.
"""
import json
import os
import secrets
import signal
import string
import sys
import threading

from ministack.app import main
from ministack.core.responses import get_account_id, get_region, new_uuid
from ministack.services import iam, lambda_svc
from ministack.services.cloudformation import provisioners

HANDLERS = provisioners._RESOURCE_HANDLERS
LOCAL_SETTINGS = json.loads(os.environ.get("SETTINGS", "{}"))


class StandIn:
    """A type of resource that has a name and attributes, and does nothing.

    AWS refuses a name that the account already uses in the region, and so does this.
    """

    def __init__(self, kind, name_property=None, attributes=None, refuse=None):
        self.kind = kind
        self.name_property = name_property
        self.attributes = attributes or (lambda name: {})
        self.refuse = refuse or (lambda properties: None)
        self.names = set()
        HANDLERS[kind] = {"create": self.create, "update": self.update, "delete": self.delete}

    def create(self, logical_id, properties, stack_name):
        self.check(properties)
        name = properties[self.name_property] if self.name_property else f"{logical_id}-{new_uuid()}"
        if name in self.names:
            raise ValueError(f"{self.kind} with the name {name} already exists in this account")
        self.names.add(name)
        return name, self.attributes(name)

    def update(self, name, old_properties, properties, stack_name):
        self.check(properties)
        if self.name_property is None or properties[self.name_property] == name:
            return name, self.attributes(name)
        replacement = self.create(name, properties, stack_name)
        provisioners._delete_predecessor(self.delete, name, old_properties)
        return replacement

    def delete(self, name, properties):
        self.names.discard(name)

    def check(self, properties):
        reason = self.refuse(properties)
        if reason:
            raise ValueError(f"{self.kind}: {reason}")


def arn(service, resource):
    return f"arn:aws:{service}:{get_region()}:{get_account_id()}:{resource}"


def refuse_broker(properties):
    if properties["EngineType"] == "RABBITMQ" and "EncryptionOptions" in properties:
        return "EncryptionOptions are not supported for RabbitMQ brokers"
    return None


def add_types():
    StandIn(
        "AWS::AmazonMQ::Broker",
        "BrokerName",
        # The event source mappings and the secrets name it. The functions get the URL of SETTINGS instead.
        lambda name: {"Arn": arn("mq", f"broker:{name}:b-1"), "AmqpEndpoints": ["amqps://127.0.0.1:5671"]},
        refuse_broker,
    )
    StandIn("AWS::AmazonMQ::Configuration", "Name", lambda name: {"Revision": 1, "Id": name})
    StandIn("AWS::MemoryDB::Cluster", "ClusterName", lambda name: {"ClusterEndpoint.Address": "127.0.0.1"})
    StandIn("AWS::MemoryDB::SubnetGroup", "SubnetGroupName")
    StandIn("AWS::MemoryDB::ACL", "ACLName")
    StandIn("AWS::MemoryDB::User", "UserName")
    for kind in ("FlowLog", "SecurityGroupIngress", "SecurityGroupEgress"):
        StandIn(f"AWS::EC2::{kind}")
    # Of a WebSocket API.
    for kind in ("Deployment", "RouteResponse"):
        StandIn(f"AWS::ApiGatewayV2::{kind}")


def keep_queues():
    """MiniStack forgets the queues of a mapping, and polls no broker. mappings.ts does."""
    handlers = HANDLERS["AWS::Lambda::EventSourceMapping"]
    create = handlers["create"]

    def create_with_queues(logical_id, properties, stack_name):
        mapping, attributes = create(logical_id, properties, stack_name)
        lambda_svc._esms[mapping]["Queues"] = properties["Queues"]
        return mapping, attributes

    handlers["create"] = create_with_queues


def accept_metric_math():
    """Alarms on an expression are recorded without it. No alarm of this emulator ever rings."""
    record = provisioners._cw_metric_alarm_record

    def record_without_math(name, properties):
        if properties.get("Metrics"):
            kept = {key: value for key, value in properties.items() if key != "Metrics"}
            properties = {**kept, "MetricName": "expression", "Namespace": "expression"}
        return record(name, properties)

    provisioners._cw_metric_alarm_record = record_without_math


def answer_as_iam_does():
    """A service-linked role that exists is an invalid input for AWS, and a conflict for MiniStack."""
    create = iam._create_service_linked_role

    def create_or_refuse(parameters):
        answer = create(parameters)
        if answer[0] != 409:
            return answer
        return iam._error(400, "InvalidInput", "Service role name has been taken in this account")

    iam._IAM_HANDLERS["CreateServiceLinkedRole"] = create_or_refuse


class Secrets:
    """Secrets as CloudFormation creates them: a reference is the ARN, and a name is free again only after its deletion.

    A generated password keeps to the characters that the template allows.
    """

    def __init__(self):
        self.base = dict(HANDLERS["AWS::SecretsManager::Secret"])
        self.names = {}
        HANDLERS["AWS::SecretsManager::Secret"].update(
            create=self.create, update=self.update, delete=self.delete
        )

    def create(self, logical_id, properties, stack_name):
        if properties["Name"] in self.names.values():
            raise ValueError(f"The secret {properties['Name']} already exists in this account")
        name, attributes = self.base["create"](logical_id, with_value(properties), stack_name)
        self.names[attributes["Arn"]] = name
        return attributes["Arn"], attributes

    def update(self, secret, old_properties, properties, stack_name, logical_id=None):
        unchanged = all(old_properties.get(key) == properties.get(key) for key in ("SecretString", "GenerateSecretString"))
        # The same value on both sides: MiniStack then leaves the stored one alone.
        new = {**properties, "SecretString": "kept"} if unchanged else with_value(properties)
        old = {**old_properties, "SecretString": "kept"} if unchanged else old_properties
        _, attributes = self.base["update"](self.names[secret], old, new, stack_name, logical_id)
        return secret, attributes

    def delete(self, secret, properties):
        self.base["delete"](self.names.pop(secret, secret), properties)


def with_value(properties):
    setting = properties["Name"].split("/")[-1]
    if setting in LOCAL_SETTINGS:
        value = LOCAL_SETTINGS[setting]
    elif "GenerateSecretString" in properties:
        value = generate(properties["GenerateSecretString"])
    else:
        return properties
    kept = {key: value for key, value in properties.items() if key != "GenerateSecretString"}
    return {**kept, "SecretString": value}


def generate(wanted):
    letters = string.ascii_letters + string.digits
    if str(wanted.get("ExcludePunctuation")).lower() != "true":
        letters += string.punctuation
    letters = [letter for letter in letters if letter not in wanted.get("ExcludeCharacters", "")]
    password = "".join(secrets.choice(letters) for _ in range(int(wanted.get("PasswordLength", 32))))
    if "GenerateStringKey" not in wanted:
        return password
    return json.dumps({**json.loads(wanted["SecretStringTemplate"]), wanted["GenerateStringKey"]: password})


def end_with_parent():
    """The parent process holds the other end of the standard input. The functions are processes of this group."""
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    add_types()
    keep_queues()
    accept_metric_math()
    answer_as_iam_does()
    Secrets()
    main()
