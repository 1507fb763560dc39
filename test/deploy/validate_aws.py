"""Holds files for AWS to botocore's own models and to moto, a local AWS, in one process: no network, no credentials.

Reads a JSON list of {"region", "task", "service", "stack", "register"} from stdin, texts as they were written, and prints a JSON list of
the same length with what each came to. Those with "register" are made in moto, which takes a second each.
"""
import json
import os
import sys

os.environ.update(AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_EC2_METADATA_DISABLED="true")

import boto3
from botocore.validate import ParamValidator
from moto import mock_aws


def complaints(client, operation, parameters):
    shape = client.meta.service_model.operation_model(operation).input_shape
    return ParamValidator().validate(parameters, shape).generate_report()


def check(model, files):
    task = json.loads(files["task"])
    service = json.loads(files["service"])
    problems = complaints(model, "RegisterTaskDefinition", task) + complaints(model, "CreateService", service)
    return register(files, task, service) if files.get("register") and not problems else {"problems": problems}


@mock_aws
def register(files, task, service):
    region = files["region"]
    ecs = boto3.client("ecs", region_name=region)
    ec2 = boto3.client("ec2", region_name=region)
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    inside = [{"Name": "vpc-id", "Values": [vpc]}]
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets(Filters=inside)["Subnets"]]
    # AWS itself takes the network's own group where none is given.
    groups = [group["GroupId"] for group in ec2.describe_security_groups(Filters=inside)["SecurityGroups"]]
    ecs.create_cluster(clusterName=service["cluster"])
    registered = ecs.register_task_definition(**task)["taskDefinition"]
    network = {"awsvpcConfiguration": {"subnets": subnets, "securityGroups": groups, "assignPublicIp": "ENABLED"}}
    created = ecs.create_service(**service, networkConfiguration=network)["service"]
    return {
        "problems": "",
        "taskDefinition": registered["taskDefinitionArn"],
        "containers": registered["containerDefinitions"],
        "service": created["serviceArn"],
        "desiredCount": created["desiredCount"],
        "stack": stack_of(files, region, vpc, subnets) if files.get("stack") else None,
    }


def stack_of(files, region, vpc, subnets):
    cloudformation = boto3.client("cloudformation", region_name=region)
    parameters = {"VpcId": vpc, "SubnetIds": ",".join(subnets)}
    cloudformation.create_stack(
        StackName="features",
        TemplateBody=files["stack"],
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    made = cloudformation.describe_stack_resources(StackName="features")["StackResources"]
    status = cloudformation.describe_stacks(StackName="features")["Stacks"][0]["StackStatus"]
    return {"status": status, "resources": sorted(resource["LogicalResourceId"] for resource in made)}


def main():
    model = boto3.client("ecs", region_name="us-east-1")
    results = []
    for files in json.load(sys.stdin):
        try:
            results.append(check(model, files))
        except Exception as error:  # Whatever AWS would have refused is the answer.
            results.append({"problems": f"{type(error).__name__}: {error}"})
    json.dump(results, sys.stdout)


main()
